package rig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestSetChangesOneValueAndRestorePutsTheFileBack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	const ci = "config:\n  neuroscale:serving: # sizes\n    domain: a.test\n"
	require.NoError(t, os.WriteFile(filepath.Join(from, "Pulumi.yaml"), []byte("name: neuroscale\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(from, "Pulumi.ci.yaml"), []byte(ci), 0o600))
	p, err := CopyProject(from, to)
	require.NoError(t, err)

	restore, err := p.Set("ci", "neuroscale:serving.defaultResources.cpu", "150m")
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(to, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &got))
	require.Equal(t, map[string]any{"config": map[string]any{"neuroscale:serving": map[string]any{
		"domain": "a.test", "defaultResources": map[string]any{"cpu": "150m"},
	}}}, got)

	require.NoError(t, restore())
	raw, err = os.ReadFile(filepath.Join(to, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	require.Equal(t, ci, string(raw))
}

func TestCopyProjectRefusesAFolderWithoutAProject(t *testing.T) {
	_, err := CopyProject(t.TempDir(), t.TempDir())
	require.ErrorContains(t, err, "no Pulumi*.yaml")
}
