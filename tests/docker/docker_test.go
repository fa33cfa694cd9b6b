// Package docker brings the stack dev up on a real Docker engine, Debian's in
// namespaces of its own, with the real command line, and takes it down again. Its
// cluster is the distribution node, which needs no registry.
package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// engineName is that of the engine, which is nobody's node.
const engineName = "docker"

// engine is a Docker engine that runs for one test, and what is called on it.
type engine struct {
	t             *testing.T
	checkout      string
	host, network string
	project       rig.Project
	env           []string
}

// start runs `sealed engine` until the test ends. Then nothing of it is left.
func start(t *testing.T) *engine {
	t.Helper()
	if os.Getenv("NEUROSCALE_E2E") == "" {
		t.Skip("runs a Docker engine and a node on it: set NEUROSCALE_E2E=1")
	}
	checkout, err := rig.Checkout()
	require.NoError(t, err)
	before, err := rig.NewHostSnapshot(t.Context())
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(checkout, "bin", "sealed"), "engine", "--name", engineName)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
		after, err := rig.NewHostSnapshot(context.Background())
		require.NoError(t, err)
		assert.Empty(t, before.Added(after, "docker-"+engineName), "the engine left something on the host")
	})
	lines := bufio.NewReader(out)
	host, err := lines.ReadString('\n')
	require.NoError(t, err)
	network, err := lines.ReadString('\n')
	require.NoError(t, err)
	e := &engine{t: t, checkout: checkout}
	e.host = strings.TrimPrefix(strings.TrimSpace(host), "export DOCKER_HOST=")
	e.network = strings.TrimPrefix(strings.TrimSpace(network), "nsenter --net=")
	cache, err := rig.Cache()
	require.NoError(t, err)
	home := t.TempDir()
	path := []string{filepath.Join(cache, "tools", "plugins"), filepath.Join(cache, "tools", "bin"), filepath.Join(cache, "tools", "docker"), os.Getenv("PATH")}
	e.env = append(rig.CleanEnvironment(), "DOCKER_HOST="+e.host, "PATH="+strings.Join(path, ":"),
		"XDG_STATE_HOME="+filepath.Join(home, "state"), "XDG_CONFIG_HOME="+filepath.Join(home, "config"))
	e.settings(cache)
	return e
}

// settings are those of stack dev with the distribution that can be had here.
func (e *engine) settings(cache string) {
	e.t.Helper()
	var err error
	e.project, err = rig.CopyProject(e.checkout, e.t.TempDir())
	require.NoError(e.t, err)
	for path, value := range map[string]any{
		"neuroscale:cluster.distribution": "node",
		"neuroscale:cluster.images":       cache,
		"neuroscale:serving.modelStores":  []map[string]any{{"cidr": "0.0.0.0/0", "ports": []int{443}}, {"cidr": "10.89.0.0/24", "ports": []int{4443}}},
		"neuroscale:serving.registriesSkippingTagResolving": []string{
			"docker.io", "index.docker.io", "gcr.io", "quay.io", "ghcr.io", "registry.k8s.io", "public.ecr.aws",
		},
	} {
		_, err := e.project.Set("dev", path, value)
		require.NoError(e.t, err)
	}
}

// command is a program where the engine's ports are.
func (e *engine) command(name string, args ...string) rig.Command {
	return rig.Command{
		Path: "/usr/bin/nsenter", Args: append([]string{"--net=" + e.network, name}, args...), Dir: e.project.Dir, Env: e.env,
	}
}

func (e *engine) run(timeout time.Duration, name string, args ...string) rig.Result {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), timeout)
	defer cancel()
	r, err := e.command(name, args...).Run(ctx)
	require.NoError(e.t, err)
	if r.Took > time.Second {
		e.t.Logf("%s %s: %.1f s", filepath.Base(name), strings.Join(args, " "), r.Took.Seconds())
	}
	return r
}

func (e *engine) neuroscale(timeout time.Duration, args ...string) rig.Result {
	return e.run(timeout, filepath.Join(e.checkout, "bin", "neuroscale"), append(args, "-s", "dev")...)
}

func (e *engine) docker(t *testing.T, args ...string) string {
	t.Helper()
	r := e.run(time.Minute, "docker", args...)
	require.Zero(t, r.Code, r.String())
	return strings.TrimSpace(r.Stdout)
}

type up struct {
	Changed    bool            `json:"changed"`
	Prediction json.RawMessage `json:"prediction"`
	Drift      []any           `json:"drift"`
}

func (e *engine) up(t *testing.T) up {
	t.Helper()
	r := e.neuroscale(15*time.Minute, "up", "-o", "json")
	require.Zero(t, r.Code, r.String())
	var report up
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report))
	return report
}

// container is the server's.
const container = "neuroscale-dev"

func TestAPlatformInDocker(t *testing.T) {
	e := start(t)
	e.loadNode(t)

	require.True(t, t.Run("a port that is taken is named with who has it, and nothing is made", e.refusesATakenPort))
	require.True(t, t.Run("an up that was killed while the cluster started leaves a container", e.killsAnUp))
	require.True(t, t.Run("the next one comes up and predicts", func(t *testing.T) {
		report := e.up(t)
		assert.True(t, report.Changed)
		assert.Contains(t, string(report.Prediction), "predictions")
	}))
	t.Run("what somebody deletes comes back", e.heals)
	t.Run("a second up changes nothing", func(t *testing.T) {
		report := e.up(t)
		assert.False(t, report.Changed)
		assert.Empty(t, report.Drift)
	})
	t.Run("it survives a restart of its container", func(t *testing.T) {
		e.docker(t, "restart", "-t", "5", container)
		e.eventually(t, 3*time.Minute, "healthy", "inspect", "-f", "{{.State.Health.Status}}", container)
		report := e.up(t)
		assert.Contains(t, string(report.Prediction), "predictions")
	})
	t.Run("it survives a restart of the engine", func(t *testing.T) {
		before := e.docker(t, "inspect", "-f", "{{.State.StartedAt}}", container)
		e.restart(t)
		e.eventually(t, 3*time.Minute, "healthy", "inspect", "-f", "{{.State.Health.Status}}", container)
		assert.NotEqual(t, before, e.docker(t, "inspect", "-f", "{{.State.StartedAt}}", container), "it went on without its engine")
		report := e.up(t)
		assert.Contains(t, string(report.Prediction), "predictions")
	})
	t.Run("destroy leaves nothing but the image", func(t *testing.T) {
		r := e.neuroscale(3*time.Minute, "destroy", "--yes")
		require.Zero(t, r.Code, r.String())
		assert.Less(t, r.Took, time.Minute, "the objects in the cluster were deleted one by one")
		e.isEmpty(t)
	})
}

// loadNode puts the node's image into the engine. Its parts are downloaded, for which
// the engine's network has no way out.
func (e *engine) loadNode(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rig.Succeed(ctx, t, rig.Command{
		Path: filepath.Join(e.checkout, "bin", "sealed"), Args: []string{"--repo", e.checkout, "node-image"}, Dir: e.project.Dir, Env: e.env,
	})
}

// restart ends the engine, which ends its containers; what watches it starts it again.
func (e *engine) restart(t *testing.T) {
	t.Helper()
	pid := e.process(t)
	start := time.Now()
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	e.poll(t, time.Minute, func() string {
		if rig.Alive(pid) {
			return "the engine has not ended"
		}
		return e.run(time.Minute, "docker", "info", "--format", "{{.ID}}").Stderr
	})
	t.Logf("the engine is there again after %s", time.Since(start).Round(100*time.Millisecond))
}

// process is the engine's own.
func (e *engine) process(t *testing.T) int {
	t.Helper()
	config := filepath.Join(filepath.Dir(strings.TrimPrefix(e.host, "unix://")), "daemon.json")
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range all {
		line, _ := os.ReadFile(file) // it may have ended
		args := strings.Split(string(line), "\x00")
		if filepath.Base(args[0]) == "dockerd" && slices.Contains(args, config) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			require.NoError(t, err)
			return pid
		}
	}
	require.Fail(t, "no engine runs")
	return 0
}

func (e *engine) refusesATakenPort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	holder, err := e.command("python3", "-m", "http.server", "--bind", "127.0.0.1", "30080").Start(ctx)
	require.NoError(t, err)
	defer func() { _ = holder.KillSession(); <-holder.Done() }()
	e.poll(t, time.Minute, func() string {
		return e.run(time.Minute, "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 30080))").Stderr
	})
	r := e.neuroscale(5*time.Minute, "up")
	assert.Equal(t, 1, r.Code)
	assert.Regexp(t, `port 30080 \(neuroscale:serving.gateway.nodePort\) is in use by python3 \(process \d+\): end that, or set another port`, r.Stderr)
	e.isEmpty(t)
}

// killsAnUp ends one, and all it has started, as soon as the engine has the container.
func (e *engine) killsAnUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	up, err := e.command(filepath.Join(e.checkout, "bin", "neuroscale"), "up", "-s", "dev").Start(ctx)
	require.NoError(t, err)
	e.eventually(t, 5*time.Minute, container, "ps", "--format", "{{.Names}}")
	require.NoError(t, up.KillSession())
	<-up.Done()
	assert.Equal(t, container, e.docker(t, "ps", "-a", "--format", "{{.Names}}"))
}

func (e *engine) heals(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	r := e.neuroscale(time.Minute, "kubeconfig")
	require.Zero(t, r.Code, r.Stderr)
	require.NoError(t, os.WriteFile(kubeconfig, []byte(r.Stdout), 0o600))
	kubectl := func(args ...string) rig.Result {
		return e.run(time.Minute, "kubectl", append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	before := kubectl("get", "deployment", "nginx-test", "-o", "jsonpath={.metadata.uid}")
	require.Zero(t, before.Code, before.String())
	r = kubectl("delete", "deployment", "nginx-test")
	require.Zero(t, r.Code, r.String())
	started := time.Now()
	e.poll(t, 2*time.Minute, func() string {
		now := kubectl("get", "deployment", "nginx-test", "-o", "jsonpath={.metadata.uid} {.status.readyReplicas}")
		if uid, ready, _ := strings.Cut(now.Stdout, " "); now.Code == 0 && uid != before.Stdout && ready == "1" {
			return ""
		}
		return "a new nginx-test that is ready: " + now.String()
	})
	t.Logf("back and ready after %.1f s", time.Since(started).Seconds())
}

// eventually waits for what the docker command prints.
func (e *engine) eventually(t *testing.T, patience time.Duration, want string, args ...string) {
	t.Helper()
	e.poll(t, patience, func() string {
		if got := e.docker(t, args...); got != want {
			return "docker " + strings.Join(args, " ") + " prints " + got
		}
		return ""
	})
}

// poll waits until nothing is missing.
func (e *engine) poll(t *testing.T, patience time.Duration, missing func() string) {
	t.Helper()
	require.NoError(t, rig.Poll(t.Context(), patience, 200*time.Millisecond, func(context.Context) (string, error) { return missing(), nil }))
}

// isEmpty is that the engine has nothing of a cluster's but its image.
func (e *engine) isEmpty(t *testing.T) {
	t.Helper()
	assert.Empty(t, e.docker(t, "ps", "-aq"))
	assert.Empty(t, e.docker(t, "volume", "ls", "-q"))
	assert.Equal(t, "bridge\nhost\nnone", e.docker(t, "network", "ls", "--format", "{{.Name}}"))
}
