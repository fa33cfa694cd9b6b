package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// well is an engine with room for everything.
func well(change func(*Engine)) *Engine {
	e := &Engine{
		API:   "1.47",
		Info:  Info{ServerVersion: "27.3.1", OSType: "linux", CgroupVersion: "2", DockerRootDir: "/var/lib/docker", NCPU: 4, MemTotal: 16 * gib},
		Local: &Local{Controllers: []string{"cpuset", "cpu", "io", "memory", "pids"}, Inotify: 8192, Disk: 100 * gib},
	}
	if change != nil {
		change(e)
	}
	return e
}

func TestWhatAnEngineLacksIsASentenceWithTheFix(t *testing.T) {
	want := Wanted{CPUs: 4, Memory: 8 * gib, Inotify: 1024}
	require.NoError(t, well(nil).Check(want))
	require.NoError(t, well(func(e *Engine) { e.Local, e.Info.CgroupVersion = nil, "1" }).Check(want))
	for name, test := range map[string]struct {
		change func(*Engine)
		want   string
	}{
		"too old":          {func(e *Engine) { e.API, e.Info.ServerVersion = "1.40", "19.03.15" }, "the Docker engine 19.03.15 is too old (API 1.40): install 20.10 or newer"},
		"of two digits":    {func(e *Engine) { e.API = "1.9" }, "is too old (API 1.9)"},
		"Windows":          {func(e *Engine) { e.Info.OSType = "windows" }, "switch it to Linux containers"},
		"rootless":         {func(e *Engine) { e.Info.SecurityOptions = []string{"name=seccomp,profile=default", "name=rootless"} }, "a node is a privileged container, and the Docker engine runs without root"},
		"users are mapped": {func(e *Engine) { e.Info.SecurityOptions = []string{"name=userns"} }, "turn that off"},
		"memory":           {func(e *Engine) { e.Info.MemTotal = 4 * gib }, "neuroscale:cluster.memory is 8.0 GiB and the Docker engine has 4.0 GiB: give it more"},
		"processors":       {func(e *Engine) { e.Info.NCPU = 2 }, "neuroscale:cluster.cpus is 4 and the Docker engine has 2: lower the setting"},
		"controllers":      {func(e *Engine) { e.Local.Controllers = []string{"cpu", "pids"} }, "the cgroup controllers cpuset, memory are off"},
		"inotify":          {func(e *Engine) { e.Local.Inotify = 128 }, "run `sudo sysctl -w fs.inotify.max_user_instances=1024`"},
		"disk":             {func(e *Engine) { e.Local.Disk = 2e9 }, "/var/lib/docker has 2.0 GB of free disk"},
	} {
		t.Run(name, func(t *testing.T) {
			err := well(test.change).Check(want)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	all := well(func(e *Engine) { e.API, e.Info.NCPU, e.Local.Inotify = "1.24", 1, 1 }).Check(want)
	assert.Len(t, strings.Split(all.Error(), "\n"), 3, "not everything is told at once")
}

func TestAPortThatSomebodyHasIsNamedWithItsOwner(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	busy := listener.Addr().(*net.TCPAddr).Port
	want := func(port int) Wanted {
		return Wanted{Cluster: "ours", Ports: []config.NodePort{{Setting: "forge.nodePort", Port: port}}}
	}
	e := well(func(e *Engine) {
		e.Published = map[int]Published{30082: {"web", ""}, 30083: {"neuroscale-dev", "theirs"}, 30084: {"neuroscale-test", "ours"}}
	})
	who := func(int) string { return "nginx (process 7)" }
	for port, message := range map[int]string{
		busy:  fmt.Sprintf("port %d (neuroscale:forge.nodePort) is in use by nginx (process 7): end that, or set another port", busy),
		30082: "port 30082 (neuroscale:forge.nodePort) is in use by container web: end that, or set another port",
		30083: "is in use by container neuroscale-dev",
	} {
		assert.ErrorContains(t, checkPorts(want(port), e, who), message)
	}
	assert.NoError(t, checkPorts(want(30084), e, who), "the cluster's own port keeps it from an update")
	assert.ErrorContains(t, checkPorts(want(busy), e, func(int) string { return "" }), "is in use by another program")
	require.NoError(t, listener.Close())
	assert.NoError(t, checkPorts(want(busy), e, who))
}

func TestTheHolderOfAPortIsFound(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	assert.Contains(t, holder(port), fmt.Sprintf("(process %d)", os.Getpid()))
	require.NoError(t, listener.Close())
	assert.Empty(t, holder(port))
}

func TestTheEngineIsAskedByTheDockerCommand(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	answers := map[string]string{
		"context": "ssh://elsewhere",
		"version": "1.41",
		"info":    `{"ServerVersion":"20.10.24","OSType":"linux","NCPU":2,"MemTotal":1024,"SecurityOptions":["name=seccomp"],"CgroupVersion":"1"}`,
		"ps":      "web||0.0.0.0:80->80/tcp, :::80->80/tcp\nneuroscale-dev|neuroscale-dev|127.0.0.1:6550->6443/tcp, 127.0.0.1:30080-30082->30080-30082/tcp\nidle||6379/tcp",
	}
	e, err := Inspect(t.Context(), func(_ context.Context, args ...string) (string, error) { return answers[args[0]], nil })
	require.NoError(t, err)
	assert.Equal(t, "1.41", e.API)
	assert.Equal(t, 2, e.Info.NCPU)
	ours := Published{"neuroscale-dev", "neuroscale-dev"}
	assert.Equal(t, map[int]Published{80: {"web", ""}, 6550: ours, 30080: ours, 30081: ours, 30082: ours}, e.Published)
	assert.Nil(t, e.Local, "an engine elsewhere says nothing about this machine")
	t.Setenv("DOCKER_HOST", "unix:///run/docker.sock")
	_, err = Inspect(t.Context(), func(context.Context, ...string) (string, error) {
		return "", errors.New("the Docker engine does not answer")
	})
	assert.EqualError(t, err, "the Docker engine does not answer")
}

func TestWithoutDockerTheWayOnIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := run(t.Context(), "version")
	assert.EqualError(t, err, "the docker command is not in PATH: install Docker, or use stack ci with a cluster you have")
}

func TestNothingIsMadeThatCouldNotPullItsImages(t *testing.T) {
	want := Wanted{Cluster: "neuroscale-dev", Pulled: []string{"registry.example/a:v1", "registry.example/b:v1"}}
	asked := []string{}
	has := func(_ context.Context, image string) error {
		asked = append(asked, image)
		if strings.HasSuffix(image, "/b:v1") {
			return errors.New("manifest unknown")
		}
		return nil
	}
	err := checkImages(t.Context(), want, well(nil), has, nil)
	require.ErrorContains(t, err, "the image registry.example/b:v1 of this version cannot be pulled (manifest unknown): have it built (neuroscale:cluster.ownImages build), take a released version")
	assert.Equal(t, want.Pulled, asked)

	want.Pulled, want.Bases, asked = nil, []string{"registry.example/a:v1", "registry.example/b:v1", "registry.example/c/b:v1"}, nil
	err = checkImages(t.Context(), want, well(nil), nil, has)
	require.ErrorContains(t, err, "the platform's own images are built of registry.example/b:v1, which cannot be pulled (manifest unknown): connect to its registry")
	assert.ErrorContains(t, err, "built of registry.example/c/b:v1", "not everything is told at once")
	assert.Equal(t, want.Bases, asked)

	want.Pulled, asked = want.Bases, nil
	there := well(func(e *Engine) {
		e.Published = map[int]Published{6550: {Container: "neuroscale-dev", Cluster: "neuroscale-dev"}}
	})
	require.NoError(t, checkImages(t.Context(), want, there, has, has), "a cluster that runs cannot be updated without a network")
	assert.Empty(t, asked)
}
