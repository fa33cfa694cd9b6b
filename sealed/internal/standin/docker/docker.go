// Package docker is a stand-in for Pulumi's Docker provider, for places where the
// real plugin cannot be installed. It has the resources and properties that a
// cluster in Docker is made of, and refuses all others.
package docker

import (
	"errors"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

// version is the plugin version the product's SDK asks for.
const version = "4.10.0"

// New makes the provider. Its engine is that of the property host, else that of the
// environment (DOCKER_HOST).
func New() server.Provider {
	e := &engine{}
	return server.Provider{
		Package: "docker", Version: version, Configure: e.configure,
		Managed: map[string]server.Managed{
			"docker:index/network:Network":         e.network(),
			"docker:index/volume:Volume":           e.volume(),
			"docker:index/remoteImage:RemoteImage": e.remoteImage(),
			"docker:index/image:Image":             e.builtImage(),
			"docker:index/container:Container":     e.container(),
		},
	}
}

// engine is the one that resources are in.
type engine struct{ api *client.Client }

func (e *engine) configure(config server.Values) error {
	options := []client.Opt{client.FromEnv}
	if host := config.String("host"); host != "" {
		options = append(options, client.WithHost(host))
	}
	api, err := client.New(options...)
	if err != nil {
		return fmt.Errorf("connecting to the Docker engine: %w", err)
	}
	e.api = api
	return nil
}

// gone turns "there is no such thing" into server.ErrGone.
func gone(err error) error {
	if cerrdefs.IsNotFound(err) {
		return errors.Join(server.ErrGone, err)
	}
	return err
}

// label is one of a resource's, as Pulumi has them.
type label struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

func labelMap(list []label) map[string]string {
	all := map[string]string{}
	for _, l := range list {
		all[l.Label] = l.Value
	}
	return all
}

// shape is the check that inputs can be decoded, with what is within them.
func shape[T any](more func(T) []server.Failure) func(server.Values) []server.Failure {
	return func(v server.Values) []server.Failure {
		var in T
		if err := v.Decode(&in); err != nil {
			return []server.Failure{{Reason: "has a property the stand-in does not know: " + err.Error()}}
		}
		if more == nil {
			return nil
		}
		return more(in)
	}
}
