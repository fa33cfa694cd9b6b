package rig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	IfJanitor()
	os.Exit(m.Run())
}

func TestJanitorEndsCommandsAndPurgesInstancesOnceItsParentIsDone(t *testing.T) {
	dir := t.TempDir()
	calls, sealed := filepath.Join(dir, "calls"), filepath.Join(dir, "sealed")
	script := "#!/bin/sh\necho \"$@\" >> " + calls + "\n[ \"$3\" != bad ]\n"
	require.NoError(t, os.WriteFile(sealed, []byte(script), 0o755))
	j, err := NewJanitor(Instance{Sealed: sealed, Name: "bad"}, Instance{Sealed: sealed, Name: "good"})
	require.NoError(t, err)
	left, err := Command{Path: "/bin/sleep", Args: []string{"60"}}.Start(t.Context())
	require.NoError(t, err)
	require.NoFileExists(t, calls)
	require.Error(t, j.Finish(), "the failure of the first instance was swallowed")
	requireSessionEnds(t, left)
	said, err := os.ReadFile(calls)
	require.NoError(t, err)
	require.Equal(t, "down --name bad --purge\ndown --name good --purge\n", string(said))
}
