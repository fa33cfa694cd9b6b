package docker

import (
	"context"

	"github.com/moby/moby/client"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

type volumeInputs struct {
	Name   string  `json:"name"`
	Driver string  `json:"driver"`
	Labels []label `json:"labels"`
}

func (e *engine) volume() server.Managed {
	return server.Managed{
		Fields: server.Fields{
			"name":   {Kind: server.String, Required: true},
			"driver": {Kind: server.String, Default: "local"},
			"labels": {Kind: server.ObjectList},
		},
		Outputs: []string{"mountpoint"},
		Check:   shape[volumeInputs](nil),
		Create: func(ctx context.Context, v server.Values) (string, map[string]any, error) {
			var in volumeInputs
			if err := v.Decode(&in); err != nil {
				return "", nil, err
			}
			// One of this name that is there already is taken, as by the real one.
			made, err := e.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: in.Name, Driver: in.Driver, Labels: labelMap(in.Labels)})
			if err != nil {
				return "", nil, err
			}
			return made.Volume.Name, map[string]any{"mountpoint": made.Volume.Mountpoint}, nil
		},
		Read: func(ctx context.Context, id string, _ server.Values) (map[string]any, error) {
			found, err := e.api.VolumeInspect(ctx, id, client.VolumeInspectOptions{})
			if err != nil {
				return nil, gone(err)
			}
			return map[string]any{"mountpoint": found.Volume.Mountpoint}, nil
		},
		Delete: func(ctx context.Context, id string, _ server.Values) error {
			_, err := e.api.VolumeRemove(ctx, id, client.VolumeRemoveOptions{})
			return gone(err)
		},
	}
}
