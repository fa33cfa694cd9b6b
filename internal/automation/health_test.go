package automation

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestLocksAreToldApartByWhetherTheirProcessIsGone(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	locks, err := s.Locks()
	require.NoError(t, err)
	assert.Empty(t, locks)
	host, err := os.Hostname()
	require.NoError(t, err)
	since := time.Now().Truncate(time.Second)
	for pid, ended := range map[int]bool{endedProcess(t): true, os.Getpid(): false} {
		file := writeLock(t, state, lock{Pid: pid, Hostname: host, Timestamp: since})
		locks, err := s.Locks()
		require.NoError(t, err)
		require.Len(t, locks, 1)
		assert.Equal(t, ended, locks[0].Ended)
		assert.True(t, since.Equal(locks[0].Since))
		require.NoError(t, os.Remove(file))
	}
	file := writeLock(t, state, lock{Pid: endedProcess(t), Hostname: host, Timestamp: since})
	require.NoError(t, s.Release(t.Context()))
	assert.NoFileExists(t, file)
}

func TestPendingOperationsAreReadFromTheStateItself(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	pending, err := s.Pending()
	require.NoError(t, err, "a stack that was never up")
	assert.Empty(t, pending)
	file := filepath.Join(state, ".pulumi", "stacks", "neuroscale", "ci.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(`{"checkpoint":{"latest":{"pending_operations":[
		{"type":"creating","resource":{"urn":"urn:pulumi:ci::neuroscale::kubernetes:core/v1:Secret::x"}}]}}}`), 0o600))
	pending, err = s.Pending()
	require.NoError(t, err)
	assert.Equal(t, []string{"creating Secret x"}, pending)
	require.NoError(t, os.WriteFile(file, []byte(`{`), 0o600))
	_, err = s.Pending()
	assert.ErrorContains(t, err, "read the state of stack ci")
}
