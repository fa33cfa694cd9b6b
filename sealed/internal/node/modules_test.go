package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKernelPartsThatAreNotThereAreNamed(t *testing.T) {
	proc := t.TempDir()
	require.NoError(t, writeFile(filepath.Join(proc, "filesystems"), []byte("nodev\tproc\n\text4\n"), 0o644))
	assert.Equal(t, []string{"overlay", "br_netfilter"}, missingModules(proc))
	require.NoError(t, writeFile(filepath.Join(proc, "filesystems"), []byte("nodev\toverlay\n\text4\n"), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(proc, "sys/net/bridge"), 0o755))
	assert.Empty(t, missingModules(proc))
}
