package docker

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

type networkInputs struct {
	Name        string            `json:"name"`
	Driver      string            `json:"driver"`
	IpamConfigs []ipam            `json:"ipamConfigs"`
	Labels      []label           `json:"labels"`
	Options     map[string]string `json:"options"`
}

type ipam struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway"`
}

func (n networkInputs) ipam() (*network.IPAM, error) {
	if len(n.IpamConfigs) == 0 {
		return nil, nil
	}
	out := &network.IPAM{Driver: "default"}
	for _, c := range n.IpamConfigs {
		subnet, err := netip.ParsePrefix(c.Subnet)
		if err != nil {
			return nil, fmt.Errorf("subnet: %w", err)
		}
		config := network.IPAMConfig{Subnet: subnet}
		if c.Gateway != "" {
			if config.Gateway, err = netip.ParseAddr(c.Gateway); err != nil {
				return nil, fmt.Errorf("gateway: %w", err)
			}
		}
		out.Config = append(out.Config, config)
	}
	return out, nil
}

func (e *engine) network() server.Managed {
	return server.Managed{
		Fields: server.Fields{
			"name":        {Kind: server.String, Required: true},
			"driver":      {Kind: server.String, Default: "bridge"},
			"ipamConfigs": {Kind: server.ObjectList},
			"labels":      {Kind: server.ObjectList},
			"options":     {Kind: server.StringMap},
		},
		Outputs: []string{"scope"},
		Check: shape(func(in networkInputs) []server.Failure {
			if _, err := in.ipam(); err != nil {
				return []server.Failure{{Property: "ipamConfigs", Reason: err.Error()}}
			}
			return nil
		}),
		Create: func(ctx context.Context, v server.Values) (string, map[string]any, error) {
			var in networkInputs
			if err := v.Decode(&in); err != nil {
				return "", nil, err
			}
			addresses, err := in.ipam()
			if err != nil {
				return "", nil, err
			}
			// An engine before 25.0 makes a second network of the same name if it is not
			// looked at first.
			if _, err := e.api.NetworkInspect(ctx, in.Name, client.NetworkInspectOptions{}); err == nil {
				return "", nil, fmt.Errorf("there is a network %s already: remove it with `docker network rm %s`", in.Name, in.Name)
			}
			made, err := e.api.NetworkCreate(ctx, in.Name, client.NetworkCreateOptions{
				Driver: in.Driver, IPAM: addresses, Labels: labelMap(in.Labels), Options: in.Options,
			})
			if err != nil {
				return "", nil, err
			}
			return made.ID, map[string]any{"scope": "local"}, nil
		},
		Read: func(ctx context.Context, id string, _ server.Values) (map[string]any, error) {
			found, err := e.api.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
			if err != nil {
				return nil, gone(err)
			}
			return map[string]any{"scope": found.Network.Scope}, nil
		},
		Delete: func(ctx context.Context, id string, _ server.Values) error {
			_, err := e.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
			return gone(err)
		},
	}
}
