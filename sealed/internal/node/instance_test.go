package node

import (
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/pki"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

func TestNamesThatCouldNotBeAHostAreRefused(t *testing.T) {
	for name, valid := range map[string]bool{
		"default": true, "a": true, "t-node": true, "0": true, strings.Repeat("a", 22): true,
		"": false, "-a": false, "a-": false, "A": false, "a_b": false, "../x": false, "a b": false, strings.Repeat("a", 23): false,
	} {
		err := CheckName(name)
		assert.Equal(t, valid, err == nil, "%q", name)
		if !valid {
			assert.ErrorContains(t, err, "instance name")
			_, err = Load(t.TempDir(), name)
			assert.Error(t, err, "a bad name must never become a path")
		}
	}
}

func TestNamesOfInterfacesFitTheKernel(t *testing.T) {
	i := &Instance{Name: strings.Repeat("a", 22), Index: maxIndex}
	assert.LessOrEqual(t, len(i.Link()), 15)
	assert.LessOrEqual(t, len(i.FullName()), 63)
}

func TestInstanceIsReadAsItWasSaved(t *testing.T) {
	cache := t.TempDir()
	fresh, err := Load(cache, "a")
	require.NoError(t, err)
	assert.Equal(t, Down, fresh.State)
	assert.Equal(t, -1, fresh.Index, "an address range is not chosen before it is needed")

	fresh.Index, fresh.State, fresh.PID, fresh.StartTime = 3, Up, 42, 4711
	require.NoError(t, fresh.Save())
	again, err := Load(cache, "a")
	require.NoError(t, err)
	assert.Equal(t, fresh, again)
	assert.Equal(t, "10.88.3.2", again.NodeIP().String())
	assert.Equal(t, "https://10.88.3.2:6443", again.APIServer())

	all, err := List(cache)
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, fresh, all[0])
}

func TestDamagedInstanceIsNamed(t *testing.T) {
	i := &Instance{Name: "a", cache: t.TempDir()}
	require.NoError(t, os.MkdirAll(i.Path(), 0o755))
	require.NoError(t, os.WriteFile(i.Path("instance.json"), []byte("{"), 0o644))
	_, err := Load(i.cache, "a")
	assert.ErrorContains(t, err, i.Path("instance.json"))
}

func TestPIDThatWasUsedAgainIsNotTheNode(t *testing.T) {
	ticks, alive := process.StartTime(os.Getpid())
	require.True(t, alive)
	assert.True(t, (&Instance{PID: os.Getpid(), StartTime: ticks}).Running())
	assert.False(t, (&Instance{PID: os.Getpid(), StartTime: ticks - 1}).Running())
	assert.False(t, (&Instance{}).Running())
}

func TestSecondCommandWaitsForTheFirstAndIsToldWhoItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.lock")
	first, err := acquire(t.Context(), path, func(string) { t.Error("nobody holds it") })
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	told := ""
	_, err = acquire(ctx, path, func(holder string) { told = holder })
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotEmpty(t, told)

	require.NoError(t, first.remove())
	second, err := acquire(t.Context(), path, func(string) {})
	require.NoError(t, err, "a lock whose file was removed must not be waited for")
	second.release()
}

func TestSecretsAreMadeOnceAndAreForTheOwnerAlone(t *testing.T) {
	i := example(t)
	require.NoError(t, secrets(i, ""))
	before := map[string][]byte{}
	for _, path := range []string{i.Kubeconfig(), i.Passphrase()} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		before[path], err = os.ReadFile(path)
		require.NoError(t, err)
	}
	assert.DirExists(t, i.StateDir())
	require.NoError(t, secrets(i, ""))
	for path, content := range before {
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, now, "the state could no longer be read")
	}
}

func TestThePassphraseIsNotBesideTheStateItOpensAndTheOneOfBeforeIsKept(t *testing.T) {
	i := example(t)
	require.NoError(t, writeFile(i.Kubeconfig(), nil, 0o600))
	require.NoError(t, writeFile(i.formerPassphrase(), []byte("old\n"), 0o600))
	file := func() string {
		vars, err := Environment(i, "/tools", "/bin")
		require.NoError(t, err)
		for _, v := range vars {
			if v.Name == "PULUMI_CONFIG_PASSPHRASE_FILE" {
				content, err := os.ReadFile(v.Value)
				require.NoError(t, err)
				assert.Equal(t, "old\n", string(content))
				return v.Value
			}
		}
		return ""
	}
	assert.Equal(t, i.formerPassphrase(), file(), "a node that runs has lost its state")
	require.NoError(t, secrets(i, ""))
	assert.Equal(t, i.Passphrase(), file())
	assert.NoFileExists(t, i.formerPassphrase())
	below, err := filepath.Rel(i.Path(), i.Passphrase())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(below, ".."), "a copy of the instance's folder has both")
}

func TestAnInstanceMayBeOnAnotherDiskThanItsPassphrase(t *testing.T) {
	const memory = "/dev/shm"
	var here, there unix.Stat_t
	if unix.Stat(memory, &there) != nil || unix.Stat(t.TempDir(), &here) != nil || here.Dev == there.Dev {
		t.Skip("there is one disk only")
	}
	for name, former := range map[string]string{"new": "", "one of before": "old\n"} {
		t.Run(name, func(t *testing.T) {
			other, err := os.MkdirTemp(memory, "neuroscale-test-")
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, os.RemoveAll(other)) })
			i := &Instance{Name: "x", cache: t.TempDir()}
			require.NoError(t, os.MkdirAll(filepath.Dir(i.Path()), 0o755))
			require.NoError(t, os.Symlink(other, i.Path()))
			if former != "" {
				require.NoError(t, writeFile(i.formerPassphrase(), []byte(former), 0o600))
			}
			require.NoError(t, ensurePassphrase(i))
			kept, err := os.ReadFile(i.Passphrase())
			require.NoError(t, err)
			if former != "" {
				assert.Equal(t, former, string(kept))
			}
			assert.NotEmpty(t, kept)
			assert.NoFileExists(t, i.formerPassphrase())
		})
	}
}

func TestTheKeyOfSecretsIsMadeOnceAndForAnInstanceOfBefore(t *testing.T) {
	i := example(t)
	require.NoError(t, secrets(i, ""))
	path := i.Path("pki", "secrets.key")
	require.NoError(t, os.Remove(path), "as it was before there was a key")
	authority, err := os.ReadFile(i.Path("pki", "ca.crt"))
	require.NoError(t, err)
	require.NoError(t, secrets(i, ""))
	first, err := pki.SecretsKey(i.Path("pki"))
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(first)
	require.NoError(t, err)
	assert.Len(t, raw, 32)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, secrets(i, ""))
	again, err := pki.SecretsKey(i.Path("pki"))
	require.NoError(t, err)
	assert.Equal(t, first, again, "Secrets could no longer be read")
	now, err := os.ReadFile(i.Path("pki", "ca.crt"))
	require.NoError(t, err)
	assert.Equal(t, authority, now)
}

func TestEnvironmentSurvivesTheShell(t *testing.T) {
	i := &Instance{Name: "a", cache: filepath.Join(t.TempDir(), "it's a $HOME `x`")}
	_, err := Environment(i, "/tools", "/bin")
	assert.ErrorContains(t, err, "sealed up --name a")

	require.NoError(t, writeFile(i.Kubeconfig(), nil, 0o600))
	vars, err := Environment(i, "/tools", "/bin:/tools")
	require.NoError(t, err)
	for _, v := range vars {
		out, err := exec.Command("/bin/sh", "-c", Exports(vars)+`printf %s "$`+v.Name+`"`).Output()
		require.NoError(t, err)
		assert.Equal(t, v.Value, string(out), v.Name)
	}
	assert.NotContains(t, Exports(vars), "DISABLE_AUTOMATIC_PLUGIN", "no plugins are linked here")

	require.NoError(t, writeFile(filepath.Join(i.cache, "tools/plugins/pulumi-resource-tls"), nil, 0o755))
	again, err := Environment(i, "/tools", vars[len(vars)-1].Value)
	require.NoError(t, err)
	assert.Contains(t, Exports(again), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION='true'")
	assert.Equal(t, vars[len(vars)-1], again[len(again)-1], "doing it twice must not grow PATH")
}

func TestDigestIsAskedByPathAlone(t *testing.T) {
	registry := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/library/redis/manifests/8" || !strings.Contains(r.Header.Get("Accept"), "oci.image.manifest") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", "sha256:1")
	})
	assert.Equal(t, "sha256:1", digest(registry, "registry.example/library/redis:8"))
	assert.Equal(t, "", digest(registry, "registry.example/other:8"))
	assert.Equal(t, "", digest(registry, "sha256:0123"), "containerd also lists images by their id")
}

func TestNodeImagesComeFromTheTableOfUpstreams(t *testing.T) {
	repo := t.TempDir()
	require.NoError(t, writeFile(filepath.Join(repo, "gitops/upstream.yaml"), []byte(
		"upstreams: {coredns: {images: {coredns: example/coredns:1}}}\nimages: {pause: example/pause:1}\n"), 0o644))
	pause, coredns, err := nodeImages(repo)
	require.NoError(t, err)
	assert.Equal(t, "example/pause:1", pause)
	assert.Equal(t, "example/coredns:1", coredns)

	require.NoError(t, writeFile(filepath.Join(repo, "gitops/upstream.yaml"), []byte("images: {}\n"), 0o644))
	_, _, err = nodeImages(repo)
	assert.ErrorContains(t, err, "pause")
}
