package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

type imageInputs struct {
	Name         string   `json:"name"`
	KeepLocally  bool     `json:"keepLocally"`
	PullTriggers []string `json:"pullTriggers"`
}

func (e *engine) remoteImage() server.Managed {
	return server.Managed{
		Fields: server.Fields{
			"name":         {Kind: server.String, Required: true},
			"keepLocally":  {Kind: server.Bool},
			"pullTriggers": {Kind: server.StringList},
		},
		Outputs: []string{"imageId", "repoDigest"},
		Check:   shape[imageInputs](nil),
		InPlace: []string{"keepLocally"},
		Create: func(ctx context.Context, v server.Values) (string, map[string]any, error) {
			var in imageInputs
			if err := v.Decode(&in); err != nil {
				return "", nil, err
			}
			outputs, err := e.image(ctx, in.Name)
			if err != nil {
				if err := e.pull(ctx, in.Name); err != nil {
					return "", nil, fmt.Errorf("pulling image %s: %w", in.Name, err)
				}
				if outputs, err = e.image(ctx, in.Name); err != nil {
					return "", nil, err
				}
			}
			return outputs["imageId"].(string) + in.Name, outputs, nil
		},
		Read: func(ctx context.Context, _ string, state server.Values) (map[string]any, error) {
			outputs, err := e.image(ctx, state.String("name"))
			return outputs, gone(err)
		},
		Update: func(context.Context, string, server.Values) (map[string]any, error) { return nil, nil },
		Delete: func(ctx context.Context, _ string, state server.Values) error {
			if state.Bool("keepLocally") {
				return nil
			}
			_, err := e.api.ImageRemove(ctx, state.String("name"), client.ImageRemoveOptions{PruneChildren: true})
			return gone(err)
		},
	}
}

// image that the engine has.
func (e *engine) image(ctx context.Context, name string) (map[string]any, error) {
	found, err := e.api.ImageInspect(ctx, name)
	if err != nil {
		return nil, err
	}
	digest := ""
	if len(found.RepoDigests) > 0 {
		digest = found.RepoDigests[0]
	}
	return map[string]any{"imageId": found.ID, "repoDigest": digest}, nil
}

func (e *engine) pull(ctx context.Context, name string) error {
	pulling, err := e.api.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	return pulling.Wait(ctx)
}
