package netns

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamespaceHoldsItsProcessesAndLeavesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	const name = "neuroscale-netns-test"
	require.NoError(t, Delete(name), "what is not there is no error")
	require.NoError(t, Create(name))
	t.Cleanup(func() { _ = Delete(name) })
	assert.True(t, Exists(name))
	assert.Error(t, Create(name), "a name that is taken is not taken over")

	cmd := exec.Command("sleep", "60")
	require.NoError(t, Do(name, cmd.Start))
	inside, err := Processes(name)
	require.NoError(t, err)
	assert.Equal(t, []int{cmd.Process.Pid}, inside)
	require.NoError(t, Do(name, func() error {
		all, err := net.Interfaces()
		assert.Len(t, all, 1, "the host's interfaces must not be seen")
		return err
	}))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	require.NoError(t, Delete(name))
	assert.False(t, Exists(name))
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	assert.NotContains(t, string(mounts), name)
}
