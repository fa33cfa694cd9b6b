package rig

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestADiskThatIsFullTakesNothingOfTheHostsAndGoesWithItsMount(t *testing.T) {
	if _, err := os.Stat("/dev/loop-control"); err != nil || os.Getuid() != 0 {
		t.Skip("only root mounts a file, where there are loop devices")
	}
	const size = 1 << 30
	dir := t.TempDir()
	at := filepath.Join(dir, "disk")
	disk, err := MountDisk(t.Context(), at, size)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, disk.Unmount()) })
	var before, full syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &before))

	require.NoError(t, disk.Fill())
	require.NoError(t, syscall.Statfs(dir, &full))
	assert.Less(t, int64(before.Bfree-full.Bfree)*before.Bsize, int64(size/4), "the ballast is on the host's disk")
	content := make([]byte, 1<<20)
	assert.ErrorIs(t, os.WriteFile(filepath.Join(at, "more"), content, 0o600), syscall.ENOSPC)
	require.NoError(t, disk.Free())
	require.NoError(t, os.WriteFile(filepath.Join(at, "more"), content, 0o600))

	require.NoError(t, disk.Unmount())
	require.NoError(t, disk.Unmount(), "one that is gone cannot be unmounted")
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	require.NoError(t, os.Remove(at))
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, names, "the disk's file is left")
}
