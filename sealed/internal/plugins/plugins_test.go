package plugins

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

var programs = map[string]string{"docker": "/bin/standin", "kubernetes": "/built/kubernetes", "random": "/bin/standin", "tls": "/bin/standin"}

// install puts a plugin into Pulumi's plugin folder.
func install(t *testing.T, home, folder, name string) {
	t.Helper()
	dir := filepath.Join(home, "plugins", folder)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, Prefix+name), nil, 0o755))
}

func TestOnlyPluginsThatAreNotInstalledAreLinked(t *testing.T) {
	home, cache := t.TempDir(), t.TempDir()
	t.Setenv("PULUMI_HOME", home)
	target := func(name string) string {
		t.Helper()
		to, err := os.Readlink(filepath.Join(Dir(cache), Prefix+name))
		require.NoError(t, err)
		return to
	}

	linked, err := Link(cache, programs)
	require.NoError(t, err)
	assert.Equal(t, []string{"docker", "kubernetes", "random", "tls"}, linked)
	for name, program := range programs {
		assert.Equal(t, program, target(name))
	}

	install(t, home, "resource-kubernetes-v4.23.0", "kubernetes")
	install(t, home, "resource-random-v4.17.0", "random")
	install(t, home, "resource-tls-v6.0.0", "tls")
	linked, err = Link(cache, programs)
	require.NoError(t, err)
	assert.Equal(t, []string{"docker", "random", "tls"}, linked, "an older version and another major version do not serve")
	_, err = os.Lstat(filepath.Join(Dir(cache), "pulumi-resource-kubernetes"))
	require.ErrorIs(t, err, os.ErrNotExist, "a link must make way for the installed plugin")

	install(t, home, "resource-random-v4.18.1", "random")
	linked, err = Link(cache, programs)
	require.NoError(t, err)
	assert.Equal(t, []string{"docker", "tls"}, linked)

	require.NoError(t, os.RemoveAll(filepath.Join(home, "plugins")))
	linked, err = Link(cache, map[string]string{"docker": "/bin/standin", "kubernetes": "/built/kubernetes", "random": "/bin/standin", "tls": "/moved/standin"})
	require.NoError(t, err)
	assert.Len(t, linked, 4, "a plugin that was removed must be linked again")
	assert.Equal(t, "/moved/standin", target("tls"), "a program that moved must be linked anew")
}

func TestUnfinishedDownloadIsNoPlugin(t *testing.T) {
	home := t.TempDir()
	t.Setenv("PULUMI_HOME", home)
	install(t, home, "resource-tls-v5.2.0.partial", "tls")
	require.NoError(t, os.MkdirAll(filepath.Join(home, "plugins", "resource-random-v4.18.0"), 0o755))
	linked, err := Link(t.TempDir(), programs)
	require.NoError(t, err)
	assert.Len(t, linked, 4)
}

func TestPluginThatIsNowhereIsNamed(t *testing.T) {
	t.Setenv("PULUMI_HOME", t.TempDir())
	linked, err := Link(t.TempDir(), map[string]string{"docker": "/bin/standin", "kubernetes": "/built/kubernetes", "tls": "/bin/standin"})
	require.EqualError(t, err, "plugin random: it is not installed, and there is no program to link")
	assert.Equal(t, []string{"docker", "kubernetes", "tls"}, linked, "the others are linked all the same")
}

func TestVersionsAreThoseTheSDKsAskFor(t *testing.T) {
	data, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	product, err := modfile.Parse("go.mod", data, nil)
	require.NoError(t, err)
	asked := map[string]string{}
	for _, r := range product.Require {
		asked[r.Mod.Path] = r.Mod.Version
	}
	for name, module := range map[string]string{
		"kubernetes": "github.com/pulumi/pulumi-kubernetes/sdk/v4",
		"docker":     "github.com/pulumi/pulumi-docker/sdk/v4",
		"random":     "github.com/pulumi/pulumi-random/sdk/v4",
		"tls":        "github.com/pulumi/pulumi-tls/sdk/v5",
	} {
		assert.Equal(t, asked[module], "v"+Needed[name], name)
	}
}
