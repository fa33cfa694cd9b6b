package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/metadb"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/pki"
)

// Container is a node that is the whole of a privileged container: its addresses are
// the container's, and it ends and begins again with it.
type Container struct {
	// State is the folder that outlives the container, Repo the one that holds
	// gitops/upstream.yaml.
	State, Repo string
	// Name of the node, and its address.
	Name    string
	Address net.IP
	// Authorities is the folder of those that sign for the API server and its clients;
	// whoever made the container made them.
	Authorities string
}

// Contain runs the node as the container's first process. It returns only if the node
// cannot go on or is told to end.
func Contain(ctx context.Context, c Container, images Images) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if os.Getpid() != 1 {
		return errors.New("node-container is the first process of a container and nothing else")
	}
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if c.Address.To4() == nil {
		return errors.New("--address is no IPv4 address: name that of the container")
	}
	i := &Instance{
		Name: c.Name, Address: c.Address.String(), State: Up, PID: os.Getpid(), Launched: time.Now().UTC().Truncate(time.Second), cache: c.State,
	}
	spec, err := contained(c, i, images)
	if err != nil {
		return err
	}
	if err := spec.save(i); err != nil {
		return err
	}
	if err := i.Save(); err != nil {
		return err
	}
	all, err := cgroup.Hierarchies(mountinfo)
	if err != nil {
		return err
	}
	if err := errors.Join(cgroup.Create(all, i.FullName()), cgroup.Join(all, i.FullName(), os.Getpid())); err != nil {
		return err
	}
	if err := nft(ctx, unjudged(i)); err != nil {
		return err
	}
	return run(ctx, i, log, func(ctx context.Context, config *rest.Config) error {
		_, err := applyAddons(ctx, config, i, spec)
		return err
	})
}

// contained clears what the last run of the container left and says what the node
// runs.
func contained(c Container, i *Instance, images Images) (Spec, error) {
	pause, coredns, err := nodeImages(c.Repo)
	if err != nil {
		return Spec{}, err
	}
	plugins, err := pluginDir()
	if err != nil {
		return Spec{}, err
	}
	if err := metadb.DropContainers(i.Path("containerd")); err != nil {
		return Spec{}, err
	}
	for _, dir := range []string{"kubelet", "pods"} {
		if err := os.RemoveAll(i.Path(dir)); err != nil {
			return Spec{}, fmt.Errorf("remove left-over %s: %w", dir, err)
		}
	}
	if err := pki.Forget(i.Path("pki"), c.Authorities); err != nil {
		return Spec{}, err
	}
	if err := secrets(i, c.Authorities); err != nil {
		return Spec{}, err
	}
	return Spec{
		Binaries: images.Binaries(), KubeRouter: images.KubeRouter(), PluginDir: plugins,
		// Images are not built here, and the folder they are in cannot be written.
		RegistryDir: images.Registry(), BuildLock: filepath.Join(c.State, "build.lock"), ObjectDir: images.Objects(),
		PauseImage: pause, CoreDNSImage: coredns,
	}, nil
}

// Healthy is nil if API server, node and cluster DNS of the one node in a state folder
// answer well now.
func Healthy(ctx context.Context, state string) error {
	all, err := List(state)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("there are %d nodes in %s instead of one", len(all), state)
	}
	return healthy(ctx, all[0])
}

// ready is called with the API server's address once it answers.
type ready func(context.Context, *rest.Config) error

// connected reads how the API server is reached, with room for many requests.
func connected(i *Instance) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	return config, nil
}
