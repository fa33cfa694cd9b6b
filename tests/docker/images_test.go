package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// importImage makes an image of programs of this machine, with what they are linked to,
// and of texts, which can be executed.
func (e *engine) importImage(t *testing.T, name string, programs, texts map[string]string, changes ...string) {
	t.Helper()
	archive, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	require.NoError(t, err)
	w, added := tar.NewWriter(archive), map[string]bool{}
	add := func(to string, content []byte) {
		if added[to] {
			return
		}
		added[to] = true
		require.NoError(t, w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(to, "/"), Mode: 0o755, Size: int64(len(content))}))
		_, err := w.Write(content)
		require.NoError(t, err)
	}
	for to, program := range programs {
		linked, _ := exec.CommandContext(t.Context(), "ldd", program).Output()
		for _, file := range append(strings.Fields(string(linked)), program) {
			if !strings.HasPrefix(file, "/") {
				continue
			}
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			if file == program {
				file = to
			}
			add(file, content)
		}
	}
	for to, text := range texts {
		add(to, []byte(text))
	}
	require.NoError(t, w.Close())
	require.NoError(t, archive.Close())
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	e.docker(t, append(args, archive.Name(), name)...)
}

// registryProgram is Debian's, of which the registry's image here is made.
func registryProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "docker-registry"},
		{"sh", "-c", "dpkg-deb --extract docker-registry_*.deb ."},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	return filepath.Join(dir, "usr", "bin", "docker-registry")
}

const (
	imagesCluster  = "neuroscale-images"
	imagesRegistry = "neuroscale-images-registry"
)

// beside is a cluster in Docker with a shell where k3s would be, and images of a checkout
// that need no base.
type beside struct {
	*engine
	stack    auto.Stack
	checkout string
}

func (b *beside) put(t *testing.T, name, content string) {
	t.Helper()
	file := filepath.Join(b.checkout, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

func (b *beside) builds() ([]ownimages.Build, error) {
	return ownimages.Builds(b.checkout, ownimages.Of(map[string]string{
		"guard": "ghcr.io/neuroscale-platform/guard:v1", "portal": "ghcr.io/neuroscale-platform/portal:v2",
	}))
}

// tags of an image that a node gets from the registry, asked as its registries.yaml says.
func (b *beside) tags(t *testing.T, image string) []string {
	t.Helper()
	var registries struct {
		Mirrors map[string]struct{ Endpoint []string }
		Configs map[string]struct {
			Auth struct{ Username, Password string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(b.engine.docker(t, "exec", imagesCluster, "cat", "/etc/rancher/k3s/registries.yaml")), &registries))
	endpoint := registries.Mirrors["ghcr.io"].Endpoint[0]
	auth := registries.Configs[strings.TrimPrefix(endpoint, "http://")].Auth
	url := endpoint + "/v2/neuroscale-platform/" + image + "/tags/list"
	ask := func(more ...string) string {
		return b.engine.docker(t, append(append([]string{"exec", imagesCluster, "curl", "-s", "--max-time", "20"}, more...), url)...)
	}
	assert.Equal(t, "401", ask("-o", "/dev/null", "-w", "%{http_code}"), "whoever reaches the registry may use it")
	var list struct{ Tags []string }
	require.NoError(t, json.Unmarshal([]byte(ask("-u", auth.Username+":"+auth.Password)), &list))
	return list.Tags
}

func (b *beside) change(t *testing.T) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	_, err := b.stack.Refresh(ctx)
	require.NoError(t, err)
	result, err := b.stack.Up(ctx)
	require.NoError(t, err)
	return *result.Summary.ResourceChanges
}

// There is no k3s where this runs: what it would pull, and from where, is asked instead.
func TestOwnImagesAreWhereNodesPullThem(t *testing.T) {
	e := start(t)
	e.importImage(t, "neuroscale/shell:1", map[string]string{
		"/bin/sh": "/bin/sh", "/bin/sleep": "/bin/sleep", "/bin/cat": "/bin/cat", "/bin/curl": "/usr/bin/curl",
	}, map[string]string{
		"/bin/mount": "#!/bin/sh\n", "/bin/kubectl": "#!/bin/sh\n", "/bin/k3s": "#!/bin/sh\nexec sleep 100000\n",
	})
	e.importImage(t, "neuroscale/registry:1", map[string]string{"/registry": registryProgram(t), "/bin/wget": "/usr/bin/wget"}, map[string]string{
		"/etc/registry.yaml": "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n",
	}, `ENTRYPOINT ["/registry","serve","/etc/registry.yaml"]`)
	b := &beside{engine: e, checkout: t.TempDir()}
	for name, content := range map[string]string{
		"Dockerfile": "FROM scratch AS guard\nCOPY a /a\nFROM scratch AS other\nCOPY absent /\n", "a": "1",
		"portal/Dockerfile": "FROM scratch\nCOPY b /b\n", "portal/b": "1", ".dockerignore": "portal\n",
	} {
		b.put(t, name, content)
	}
	home := t.TempDir()
	env := map[string]string{"PULUMI_BACKEND_URL": "file://" + home, "PULUMI_CONFIG_PASSPHRASE": "images", "PULUMI_HOME": filepath.Join(home, "pulumi"), "PULUMI_SKIP_UPDATE_CHECK": "true"}
	t.Setenv("PATH", rig.Lookup(e.env, "PATH"))
	var err error
	b.stack, err = auto.UpsertStackInlineSource(t.Context(), "images", "neuroscale", func(ctx *pulumi.Context) error {
		settings := config.Default().Cluster
		settings.Provider = config.ProviderDocker
		builds, err := b.builds()
		if err != nil {
			return err
		}
		_, err = cluster.Docker(ctx, "cluster", &cluster.DockerArgs{
			Name: imagesCluster, Settings: settings, Image: "neuroscale/shell:1", RegistryImage: "neuroscale/registry:1", Builds: builds, Host: e.host,
			Preflight: func(context.Context, cluster.Wanted) error { return nil },
		})
		return err
	}, auto.EnvVars(env), auto.WorkDir(t.TempDir()))
	require.NoError(t, err)

	tagOf := func(name string) string {
		builds, err := b.builds()
		require.NoError(t, err)
		for _, build := range builds {
			if build.Name == name {
				_, tag, _ := strings.Cut(build.Reference, ":")
				return tag
			}
		}
		return ""
	}
	preview, err := b.stack.Preview(t.Context())
	require.NoError(t, err, "a preview needs what is not there yet")
	result, err := b.stack.Up(t.Context())
	require.NoError(t, err)
	assert.Len(t, preview.ChangeSummary, len(*result.Summary.ResourceChanges))
	guard, portal := tagOf("guard"), tagOf("portal")
	assert.Equal(t, []string{guard}, b.tags(t, "guard"))
	assert.Equal(t, []string{portal}, b.tags(t, "portal"))
	require.NotContains(t, b.change(t), "update", "nothing has changed")

	b.put(t, "portal/b", "2")
	changes := b.change(t)
	assert.Equal(t, 1, changes["update"], "one image is of what has changed: %v", changes)
	assert.Zero(t, changes["replace"], "%v", changes)
	assert.ElementsMatch(t, []string{portal, tagOf("portal")}, b.tags(t, "portal"))
	assert.Equal(t, []string{guard}, b.tags(t, "guard"))

	// Somebody tidies up: nobody would notice before a node pulls.
	e.docker(t, "rm", "-f", "-v", imagesRegistry)
	e.docker(t, "volume", "rm", imagesRegistry)
	b.change(t)
	assert.Equal(t, []string{guard}, b.tags(t, "guard"))
	assert.Equal(t, []string{tagOf("portal")}, b.tags(t, "portal"))

	_, err = b.stack.Destroy(t.Context())
	require.NoError(t, err)
	e.isEmpty(t)
}
