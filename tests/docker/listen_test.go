package docker

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListeningInAnotherNetworkLeavesThisProcessInItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("makes a network namespace: only root can")
	}
	elsewhere := exec.Command("unshare", "--net", "sh", "-c", "echo there; read end")
	in, err := elsewhere.StdinPipe()
	require.NoError(t, err)
	out, err := elsewhere.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, elsewhere.Start())
	t.Cleanup(func() { _, _ = in.Close(), elsewhere.Wait() })
	_, err = fmt.Fscanln(out, new(string))
	require.NoError(t, err)
	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	e := &engine{network: fmt.Sprintf("/proc/%d/ns/net", elsewhere.Process.Pid)}
	there, err := os.Readlink(e.network)
	require.NoError(t, err)
	require.NotEqual(t, own, there)
	// Any thread takes it, the first one too, which is what /proc/self is.
	for range 500 {
		require.NoError(t, e.listen(t).Close())
		now, err := os.Readlink("/proc/self/ns/net")
		require.NoError(t, err)
		require.Equal(t, own, now, "the process moved")
	}
}
