package e2e

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// nobody is a user without rights.
const nobody = uint32(65534)

func (s *suite) badInput(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	before := s.resources(ctx, t)
	missing := filepath.Join(t.TempDir(), "no-such-kubeconfig")
	for _, c := range []struct {
		name  string
		call  rig.Command
		path  string // of a configuration value, if the call needs one
		value any
		says  []string
	}{
		{"an unknown configuration key", s.command("up"), "neuroscale:serving.defaultResource.cpu", "50m",
			[]string{"neuroscale:serving.defaultResource ", "defaultResources?"}},
		{"an unknown configuration section", s.command("preview"), "neuroscale:servng.domain", "a.test",
			[]string{"neuroscale:servng ", "serving?"}},
		{"a value that cannot be", s.command("up"), "neuroscale:serving.defaultResources.cpu", "much",
			[]string{"neuroscale:serving.defaultResources.cpu", `"much"`, "250m"}},
		{"a missing kubeconfig", with(s.command("up"), "KUBECONFIG="+missing), "", nil,
			[]string{missing, "KUBECONFIG"}},
		{"an unreachable cluster", with(s.command("up"), "KUBECONFIG="+unreachableKubeconfig(t)), "", nil,
			[]string{"https://127.0.0.1:1", "refused"}},
		{"a destroy of an unreachable cluster", with(s.command("destroy", "--yes"), "KUBECONFIG="+unreachableKubeconfig(t)), "", nil,
			[]string{"https://127.0.0.1:1", "--unreachable"}},
		{"a destroy nobody confirmed", s.command("destroy"), "", nil,
			[]string{"--yes"}},
		{"a stack that does not exist", s.command("up", "-s", "cj"), "", nil,
			[]string{`"cj"`, `"ci"?`}},
		{"a layer that does not exist", s.command("render", "knatve"), "", nil,
			[]string{`"knatve"`, "knative"}},
		{"an endpoint that does not exist", s.command("predict", "demo-iris-3"), "", nil,
			[]string{`"demo-iris-3"`, `"demo-iris-2"?`}},
		{"a folder without a project", s.command("up", "-C", t.TempDir()), "", nil,
			[]string{"Pulumi.yaml", "-C"}},
		{"a command that does not exist", rig.Command{Path: s.neuroscale, Args: []string{"destory"}, Env: s.env}, "", nil,
			[]string{`"destory"`, `"destroy"?`}},
		{"a sealed instance's name that cannot be", rig.Instance{Sealed: s.sealed, Name: "No_Name"}.Up(), "", nil,
			[]string{"No_Name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path != "" {
				restore, err := s.project.Set(stack, c.path, c.value)
				require.NoError(t, err)
				defer func() { require.NoError(t, restore()) }()
			}
			requireRefused(t, run(ctx, t, c.call), c.says...)
		})
	}
	assert.Equal(t, before, s.resources(ctx, t), "a refused call changed the state")
}

// requireRefused demands a failed command that says one thing: which and what to
// do, in its last line and nowhere else.
func requireRefused(t *testing.T, r rig.Result, says ...string) {
	t.Helper()
	assert.Positive(t, r.Code, "%s", r)
	assert.Empty(t, r.Stdout, "a refusal is no result")
	lines := r.Lines()
	require.Len(t, lines, 1, "one sentence was wanted: %s", r)
	for _, word := range says {
		assert.Contains(t, lines[0], word)
	}
}

func TestSealedRefusesWhoIsNotRoot(t *testing.T) {
	s := begin(t)
	ctx := within(t, time.Minute)
	// Where that user can read it.
	dir, err := os.MkdirTemp("", "neuroscale-e2e-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "sealed")
	copyFile(t, s.sealed, binary, 0o755)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "gitops"), 0o755))
	copyFile(t, filepath.Join(s.checkout, "gitops", "upstream.yaml"), filepath.Join(dir, "gitops", "upstream.yaml"), 0o644)

	before, err := rig.NewHostSnapshot(ctx)
	require.NoError(t, err)
	uid := nobody
	command := rig.Instance{Sealed: binary, Name: "e2e-nobody"}.Up()
	command.Env, command.UID, command.Dir = append(command.Env, "HOME="+dir, "XDG_CACHE_HOME=", "NEUROSCALE_CACHE="), &uid, dir
	requireRefused(t, run(ctx, t, command), "root")
	after, err := rig.NewHostSnapshot(ctx)
	require.NoError(t, err)
	assert.Empty(t, before.Added(after, "e2e-nobody"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "it left files")
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}
