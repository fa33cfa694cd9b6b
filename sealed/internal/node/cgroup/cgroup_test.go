package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mountinfo(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mountinfo")
	var text string
	for n, line := range lines {
		text += fmt.Sprintf("%d 20 0:%d / %s\n", 30+n, 30+n, line)
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestHierarchiesOfVersion1AreFound(t *testing.T) {
	all, err := Hierarchies(mountinfo(t,
		"/ rw - ext4 /dev/vda rw",
		"/sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct",
		"/sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
		"/sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
	))
	require.NoError(t, err)
	require.Len(t, all, 3)
	assert.Equal(t, Hierarchy{Mount: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}}, all[0])
	assert.True(t, all[2].Unified, "runtimes make groups in an empty version 2 tree too, and they must be removed")
	assert.Equal(t, []string{"cpuset", "pids"}, Missing(all))
}

func TestHierarchyOfVersion2HasItsControllers(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o644))
	all, err := Hierarchies(mountinfo(t, root+" rw - cgroup2 cgroup2 rw"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Empty(t, Missing(all))
	require.NoError(t, Create(all, "neuroscale-a"))
	enabled, err := os.ReadFile(filepath.Join(root, "neuroscale-a", "cgroup.subtree_control"))
	require.NoError(t, err)
	assert.Equal(t, "+cpuset +cpu +io +memory +pids", string(enabled))
}

func TestCpusetOfVersion1IsInherited(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "cpuset.cpus"), []byte("0-1\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "cpuset.mems"), []byte("0\n"), 0o644))
	all := []Hierarchy{{Mount: root, Controllers: []string{"cpuset"}}}
	require.NoError(t, Create(all, "neuroscale-a"))
	for _, dir := range []string{"neuroscale-a", "neuroscale-a/system"} {
		cpus, err := os.ReadFile(filepath.Join(root, dir, "cpuset.cpus"))
		require.NoError(t, err)
		assert.Equal(t, "0-1\n", string(cpus), "no process may enter a group with an empty cpuset")
	}
}

func TestProcessesOfAllLevelsAreFoundOnce(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	all := []Hierarchy{{Mount: one}, {Mount: two}}
	require.NoError(t, Create(all, "neuroscale-a"))
	require.NoError(t, Join(all, "neuroscale-a", 77))
	pod := filepath.Join(one, "neuroscale-a", "kubepods", "pod1")
	require.NoError(t, os.MkdirAll(pod, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(pod, "cgroup.procs"), []byte("88\n99\n"), 0o644))
	assert.ElementsMatch(t, []int{77, 88, 99}, Processes(all, "neuroscale-a"))
	assert.Empty(t, Processes(all, "neuroscale-b"))
}

func TestRemoveTakesTheWholeTreeAndNothingElse(t *testing.T) {
	root := t.TempDir()
	all := []Hierarchy{{Mount: root}}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "neuroscale-a", "kubepods", "pod1", "c1"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "neuroscale-ab"), 0o755))
	require.True(t, Exists(all, "neuroscale-a"))
	require.NoError(t, Remove(all, "neuroscale-a"))
	assert.False(t, Exists(all, "neuroscale-a"))
	assert.True(t, Exists(all, "neuroscale-ab"))
	assert.NoError(t, Remove(all, "neuroscale-a"), "what is gone already is no error")
}
