package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/metadb"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/pki"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/provisioner"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/objectstore"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/registry"
)

// goFD is the end of a pipe on which a node is told to begin. If whoever
// started it dies first, the node ends before it did anything.
const goFD = 3

// Init is the first process of a node's namespaces. It returns only if the
// node cannot go on.
func Init(ctx context.Context, cache, name string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := awaitGo(); err != nil {
		return err
	}
	i, err := Load(cache, name)
	if err != nil {
		return err
	}
	err = run(ctx, i, log, func(context.Context, *rest.Config) error { return nil })
	if err != nil {
		log.Error("node ends", "error", err)
		_ = writeFile(i.failure(), []byte(err.Error()+"\n"), 0o644)
	}
	return err
}

func awaitGo() error {
	if os.Getpid() != 1 {
		return errors.New("node-init is started by `sealed up` and by nobody else")
	}
	pipe := os.NewFile(goFD, "go")
	defer pipe.Close()
	if _, err := io.ReadFull(pipe, make([]byte, 1)); err != nil {
		return fmt.Errorf("`sealed up` ended before the node could begin: %w", err)
	}
	return nil
}

func run(ctx context.Context, i *Instance, log *slog.Logger, then ready) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reaper := process.NewReaper()
	defer reaper.Close()
	spec, err := loadSpec(i)
	if err != nil {
		return err
	}
	if err := enterMounts(i); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(i.FullName())); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	conf := newConfig(i, spec)
	if conf.SecretsKey, err = pki.SecretsKey(i.Path("pki")); err != nil {
		return err
	}
	if err := conf.write(configDir); err != nil {
		return err
	}
	processes, err := conf.processes(spec, exec.LookPath)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	if err := serve(ctx, i, spec, log, failed); err != nil {
		return err
	}

	supervisor := process.NewSupervisor(reaper, i.LogDir(), log)
	supervisor.Run(ctx, processes[etcd])
	supervisor.Run(ctx, processes[containerd])
	supervisor.Run(ctx, processes[apiServer])
	go func() {
		if err := startClients(ctx, i, supervisor, processes, log, then); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
	select {
	case err = <-supervisor.Failed():
	case err = <-failed:
	case <-ctx.Done():
		log.Info("told to end")
	}
	stop()
	return err
}

// serve answers for images and objects on the node's address.
func serve(ctx context.Context, i *Instance, spec Spec, log *slog.Logger, failed chan<- error) error {
	images, err := registry.Handler(ctx, spec.RegistryDir, true)
	if err != nil {
		return fmt.Errorf("open image registry %s: %w", spec.RegistryDir, err)
	}
	stale, err := metadb.DropStaleImages("/var/lib/containerd", func(name string) string { return digest(images, name) })
	if err != nil {
		return err
	}
	for _, name := range stale {
		log.Info("image was rebuilt", "image", name)
	}
	for port, handler := range map[int]http.Handler{
		RegistryPort:    registry.Await(images, registry.Locked(spec.BuildLock)),
		ObjectStorePort: objectstore.Handler(spec.ObjectDir, log),
	} {
		listener, err := net.Listen("tcp", net.JoinHostPort(i.NodeIP().String(), strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("listen on port %d: %w", port, err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- fmt.Errorf("server of port %d: %w", port, server.Serve(listener)) }()
	}
	return nil
}

// startClients starts what needs an API server, once there is one.
func startClients(ctx context.Context, i *Instance, s *process.Supervisor, all map[string]process.Spec, log *slog.Logger, then ready) error {
	config, err := connected(i)
	if err != nil {
		return err
	}
	if err := poll(ctx, apiTimeout, func() (bool, error) { return apiReady(ctx, config), nil }); err != nil {
		return fmt.Errorf("the API server was not ready in %s: %w", apiTimeout, err)
	}
	if err := then(ctx, config); err != nil {
		return err
	}
	for _, name := range []string{kubelet, controllerManager, scheduler, proxy, router} {
		s.Run(ctx, all[name])
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	provisioner.Run(ctx, client, volumeDir, i.FullName(), log)
	return nil
}

// apiTimeout is generous: ten times what a slow machine was seen to need.
const apiTimeout = 90 * time.Second

// apiReady asks the API server once.
func apiReady(ctx context.Context, config *rest.Config) bool {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// poll asks until the answer is yes, an error or too late.
func poll(ctx context.Context, patience time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
