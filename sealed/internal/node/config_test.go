package node

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

func example(t *testing.T) *Instance {
	t.Helper()
	return &Instance{Name: "a", Index: 7, State: Starting, cache: t.TempDir()}
}

func exampleConfig(t *testing.T) config {
	c := newConfig(example(t), Spec{PauseImage: "registry.example/pause:1", PluginDir: "/usr/lib/cni"})
	c.SecretsKey = "a key in base64"
	return c
}

// TestConfigurationIsAsMeasured guards settings that were found the hard way:
// a change of any of them must be looked at.
func TestConfigurationIsAsMeasured(t *testing.T) {
	c := exampleConfig(t)
	files, err := c.files()
	require.NoError(t, err)
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&text, "=== %s\n%s", path, files[path])
	}
	arguments := c.arguments()
	for _, name := range Processes {
		fmt.Fprintf(&text, "=== %s\n%s\n", name, strings.Join(arguments[name], "\n"))
	}
	golden := filepath.Join("testdata", "config.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), text.String())
}

func TestKubeletUsesTheInstancesOwnCgroup(t *testing.T) {
	files, err := exampleConfig(t).files()
	require.NoError(t, err)
	var kubelet map[string]any
	require.NoError(t, yaml.UnmarshalStrict(files["kubelet.yaml"], &kubelet))
	assert.Equal(t, "/neuroscale-a", kubelet["cgroupRoot"], "two nodes must not share pods' cgroups")
	assert.Equal(t, []any{DNSIP}, kubelet["clusterDNS"])
}

func TestNoSecretIsAnArgument(t *testing.T) {
	for name, args := range exampleConfig(t).arguments() {
		for _, arg := range args {
			assert.NotContains(t, strings.ToLower(arg), "token=", name)
			assert.NotContains(t, strings.ToLower(arg), "password=", name)
		}
	}
}

func TestConfigurationWithAKeyIsForRootAlone(t *testing.T) {
	c, dir := exampleConfig(t), t.TempDir()
	require.NoError(t, c.write(dir))
	files, err := c.files()
	require.NoError(t, err)
	for path, content := range files {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		if strings.Contains(string(content), c.SecretsKey) {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		}
	}
}

// Providers are tried in their order; the first one writes.
func TestSecretsAreEncryptedAndThoseOfBeforeStayReadable(t *testing.T) {
	c := exampleConfig(t)
	files, err := c.files()
	require.NoError(t, err)
	var encryption struct {
		Resources []struct {
			Resources []string
			Providers []map[string]any
		}
	}
	require.NoError(t, yaml.Unmarshal(files["encryption.yaml"], &encryption))
	require.Len(t, encryption.Resources, 1)
	assert.Equal(t, []string{"secrets"}, encryption.Resources[0].Resources)
	require.Len(t, encryption.Resources[0].Providers, 2)
	assert.Contains(t, encryption.Resources[0].Providers[0], "secretbox")
	assert.Contains(t, encryption.Resources[0].Providers[1], "identity")
	assert.Contains(t, c.arguments()[apiServer], "--encryption-provider-config=/run/neuroscale/encryption.yaml")
}

func TestTheAuditLogIsBoundedAndHoldsNoContents(t *testing.T) {
	c := exampleConfig(t)
	files, err := c.files()
	require.NoError(t, err)
	var policy struct {
		Rules []struct {
			Level     string
			Verbs     []string
			Resources []struct{ Group string }
		}
	}
	require.NoError(t, yaml.Unmarshal(files["audit.yaml"], &policy))
	for i, rule := range policy.Rules {
		assert.Contains(t, []string{"None", "Metadata"}, rule.Level, "rule %d keeps contents", i)
	}
	last := policy.Rules[len(policy.Rules)-1]
	assert.Equal(t, "Metadata", last.Level)
	assert.Empty(t, last.Verbs)
	assert.Empty(t, last.Resources, "a change of anything else is kept")
	for _, flag := range []string{"--audit-log-maxsize=", "--audit-log-maxbackup=", "--audit-log-maxage="} {
		assert.True(t, slices.ContainsFunc(c.arguments()[apiServer], func(a string) bool { return strings.HasPrefix(a, flag) }), flag)
	}
}

func TestTheAPIServerSharesItselfOutAmongItsClients(t *testing.T) {
	assert.NotContains(t, strings.Join(exampleConfig(t).arguments()[apiServer], " "), "priority-and-fairness=false")
}

func TestEveryProcessHasAProgram(t *testing.T) {
	look := func(name string) (string, error) { return "/usr/bin/" + name, nil }
	specs, err := exampleConfig(t).processes(Spec{Binaries: "/tools", KubeRouter: "/other/kube-router"}, look)
	require.NoError(t, err)
	assert.ElementsMatch(t, Processes, slices.Collect(maps.Keys(specs)))
	assert.Equal(t, "/tools/kubelet", specs[kubelet].Path)
	assert.Equal(t, "/usr/bin/etcd", specs[etcd].Path)
	assert.Equal(t, "/other/kube-router", specs[router].Path)
	assert.Subset(t, specs[apiServer].Env, []string{"GOGC=300", "GOMEMLIMIT=1GiB"}, "lazier, and bounded")
	assert.NotContains(t, strings.Join(specs[kubelet].Env, " "), "GOGC")

	_, err = exampleConfig(t).processes(Spec{}, func(name string) (string, error) { return "", errors.New("not found") })
	assert.ErrorContains(t, err, "is not on PATH")
}
