package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	dockerd "github.com/neuroscale-platform/neuroscale/sealed/internal/engine"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
)

func replaced(text, old, with string) string { return strings.Replace(text, old, with, 1) }

// engineOptions are those of the tests' own engine. Its folder is on a disk and has a
// short path, which a socket needs.
func engineOptions() dockerd.Options {
	cache := os.Getenv("NEUROSCALE_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			panic(err)
		}
		cache = filepath.Join(dir, "neuroscale")
	}
	return dockerd.Options{
		Name: "neuroscale-docker-standin", Dir: filepath.Join(cache, "engines", "standin"),
		Programs: filepath.Join(cache, "tools", "docker"),
	}
}

// The test program is also what the engine calls.
func TestMain(m *testing.M) {
	for i, arg := range os.Args {
		switch arg {
		case "engine-init":
			if err := dockerd.Init(context.Background(), engineOptions()); err != nil {
				os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
			os.Exit(0)
		case "engine-runtime":
			os.Stderr.WriteString(dockerd.Runtime(os.Args[i+1:]).Error() + "\n")
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// real is a provider of a real engine, and a client of it.
func real(t *testing.T) (*servertest.Engine, *client.Client) {
	t.Helper()
	if os.Getenv("NEUROSCALE_E2E") == "" {
		t.Skip("runs a Docker engine: set NEUROSCALE_E2E=1")
	}
	o := engineOptions()
	require.NoError(t, dockerd.Docker.Fetch(t.Context(), o.Programs))
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- dockerd.Run(ctx, o, []string{"engine-init"}, func() error { close(ready); return nil })
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
		assert.NoDirExists(t, o.Dir)
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	t.Setenv("DOCKER_HOST", o.Host())
	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	return servertest.Start(t, New()), api
}

// loadImage makes an image with a shell of this machine's, and more programs at the
// same path.
func loadImage(t *testing.T, api *client.Client, name string, programs ...string) {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	added := map[string]bool{}
	add := func(file string) {
		if !added[file] {
			added[file] = true
			add(t, w, file)
		}
	}
	for _, program := range append([]string{"/bin/sh", "/bin/sleep", "/bin/cat"}, programs...) {
		add(program)
		// Of a static one it says so, as an error.
		out, _ := exec.Command("ldd", program).Output()
		for _, field := range strings.Fields(string(out)) {
			if strings.HasPrefix(field, "/") {
				add(field)
			}
		}
	}
	require.NoError(t, w.Close())
	result, err := api.ImageImport(t.Context(), client.ImageImportSource{Source: &text, SourceName: "-"}, name, client.ImageImportOptions{})
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, result)
	require.NoError(t, err)
	require.NoError(t, result.Close())
}

func add(t *testing.T, w *tar.Writer, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(file, "/"), Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	require.NoError(t, err)
}

// One engine for all of it: what Pulumi's resources of a cluster do to it.
func TestResourcesAreTheEngines(t *testing.T) {
	e, api := real(t)
	loadImage(t, api, "neuroscale/test:1")
	ctx := t.Context()

	network := e.Create(servertest.URN(networkToken, "n"), props(t, `{"name":"net","ipamConfigs":[{"subnet":"10.87.0.0/24","gateway":"10.87.0.1"}],"labels":[{"label":"l","value":"v"}]}`))
	volume := e.Create(servertest.URN(volumeToken, "v"), props(t, `{"name":"vol"}`))
	image := e.Create(servertest.URN(imageToken, "i"), props(t, `{"name":"neuroscale/test:1","keepLocally":true}`))
	require.NotEmpty(t, image.Outputs["imageId"].StringValue())

	inputs := func(memory string) servertest.Props {
		in := props(t, `{"name":"box","command":["/bin/sh","-c","cat /data/deep/file && exec sleep 1000"],
			"memory":`+memory+`,"memorySwap":`+memory+`,"restart":"unless-stopped","privileged":true,"cgroupnsMode":"private",
			"networksAdvanced":[{"name":"net","ipv4Address":"10.87.0.7"}],
			"ports":[{"internal":80,"external":30999,"ip":"127.0.0.1"}],
			"volumes":[{"volumeName":"vol","containerPath":"/data"}],
			"uploads":[{"file":"/data/deep/file","content":"hello\n","permissions":"0600"}],
			"healthcheck":{"tests":["CMD","/bin/cat","/data/deep/file"],"interval":"1s","timeout":"5s","retries":3},
			"wait":true,"waitTimeout":60,"destroyGraceSeconds":0}`)
		in["image"] = image.Outputs["imageId"]
		return in
	}
	var box servertest.Resource
	t.Run("a container is filled, started and waited for", func(t *testing.T) {
		box = e.Create(servertest.URN(containerToken, "c"), inputs("64"))
		found, err := api.ContainerInspect(ctx, box.ID, client.ContainerInspectOptions{})
		require.NoError(t, err)
		c := found.Container
		assert.Equal(t, "/box", c.Name)
		assert.Equal(t, "healthy", string(c.State.Health.Status))
		assert.Equal(t, "10.87.0.7", c.NetworkSettings.Networks["net"].IPAddress.String())
		assert.NotContains(t, c.NetworkSettings.Networks, "bridge", "it is in a network nobody asked for")
		assert.EqualValues(t, 64<<20, c.HostConfig.Memory)
		assert.True(t, c.HostConfig.Privileged)
		logs, err := api.ContainerLogs(ctx, box.ID, client.ContainerLogsOptions{ShowStdout: true})
		require.NoError(t, err)
		text, err := io.ReadAll(logs)
		require.NoError(t, err)
		assert.Contains(t, string(text), "hello", "the file was not there when it started")
	})
	t.Run("an update without a change changes nothing", func(t *testing.T) {
		assert.Empty(t, e.Diff(box, inputs("64")).GetDiffs())
		again, err := e.Read(box)
		require.NoError(t, err)
		assert.Equal(t, box.Outputs, again.Outputs, "a refresh would tell of a change that nobody made")
	})
	t.Run("a limit is changed in the running container", func(t *testing.T) {
		box = e.Update(box, inputs("128"))
		found, err := api.ContainerInspect(ctx, box.ID, client.ContainerInspectOptions{})
		require.NoError(t, err)
		assert.EqualValues(t, 128<<20, found.Container.HostConfig.Memory)
	})
	t.Run("it keeps its address and its files over a restart", func(t *testing.T) {
		_, err := api.ContainerRestart(ctx, box.ID, client.ContainerRestartOptions{Timeout: new(int)})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			found, err := api.ContainerInspect(ctx, box.ID, client.ContainerInspectOptions{})
			return err == nil && found.Container.State.Health.Status == "healthy"
		}, 30*time.Second, 200*time.Millisecond)
		again, err := e.Read(box)
		require.NoError(t, err)
		assert.Equal(t, box.Outputs["networkDatas"], again.Outputs["networkDatas"])
	})
	t.Run("a second one of the name is refused and leaves nothing", func(t *testing.T) {
		err := e.TryCreate(servertest.URN(containerToken, "other"), inputs("64"))
		require.ErrorContains(t, err, "already in use")
		err = e.TryCreate(servertest.URN(networkToken, "other"), props(t, `{"name":"net"}`))
		require.ErrorContains(t, err, "there is a network net already: remove it with `docker network rm net`")
	})
	t.Run("one that ends is an error with what it printed, and is removed", func(t *testing.T) {
		in := props(t, `{"name":"bad","command":["/bin/sh","-c","echo no such luck; exit 3"],"wait":true}`)
		in["image"] = image.Outputs["imageId"]
		err := e.TryCreate(servertest.URN(containerToken, "bad"), in)
		require.ErrorContains(t, err, "the container ended with exit code 3")
		require.ErrorContains(t, err, "no such luck")
		_, err = api.ContainerInspect(ctx, "bad", client.ContainerInspectOptions{})
		assert.Error(t, err)
	})
	t.Run("an image that is nowhere is named", func(t *testing.T) {
		err := e.TryCreate(servertest.URN(imageToken, "none"), props(t, `{"name":"neuroscale/none:1"}`))
		require.ErrorContains(t, err, "pulling image neuroscale/none:1")
	})
	t.Run("what somebody removed is gone", func(t *testing.T) {
		_, err := api.ContainerRemove(ctx, box.ID, client.ContainerRemoveOptions{Force: true})
		require.NoError(t, err)
		again, err := e.Read(box)
		require.NoError(t, err)
		assert.Empty(t, again.ID)
		e.Delete(box)
	})
	t.Run("deleting leaves nothing but the image that is kept", func(t *testing.T) {
		box = e.Create(servertest.URN(containerToken, "c"), inputs("64"))
		for _, r := range []servertest.Resource{box, volume, image, network} {
			e.Delete(r)
		}
		containers, err := api.ContainerList(ctx, client.ContainerListOptions{All: true})
		require.NoError(t, err)
		assert.Empty(t, containers.Items)
		volumes, err := api.VolumeList(ctx, client.VolumeListOptions{})
		require.NoError(t, err)
		assert.Empty(t, volumes.Items)
		networks, err := api.NetworkList(ctx, client.NetworkListOptions{})
		require.NoError(t, err)
		assert.Len(t, networks.Items, 3, "bridge, host and none are the engine's own")
		images, err := api.ImageList(ctx, client.ImageListOptions{})
		require.NoError(t, err)
		assert.Len(t, images.Items, 1)
	})
}
