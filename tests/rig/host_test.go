package rig

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLeftoversAreOurs(t *testing.T) {
	before := HostSnapshot{"mount of / at /": true}
	later := HostSnapshot{
		"mount of / at /":                                        true,
		"cgroup /sys/fs/cgroup/cpu/neuroscale-e2e":               true,
		"cgroup /sys/fs/cgroup/cpu/neuroscale-e2e-kill":          true,
		"cgroup /sys/fs/cgroup/cpu/neuroscale-default":           true,
		"mount of / at /c/instances/other/kubelet":               true,
		"mount of / at /c/instances/e2e/kubelet":                 true,
		"mount of / at /run/neuroscale-netns/neuroscale-default": true,
		"empty folder /run/neuroscale-netns":                     true,
		"network interface veth0 [10.0.0.1/30]":                  true,
	}
	require.Equal(t, []string{
		"cgroup /sys/fs/cgroup/cpu/neuroscale-e2e",
		"empty folder /run/neuroscale-netns",
		"mount of / at /c/instances/e2e/kubelet",
		"network interface veth0 [10.0.0.1/30]",
	}, before.Added(later, "e2e"))
}

func TestHostSnapshotSeesAProcessInAnotherNetworkNamespace(t *testing.T) {
	ctx := t.Context()
	before, err := NewHostSnapshot(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, before, "a host without mounts was not looked at")
	p, err := Command{Path: "unshare", Args: []string{"--user", "--map-root-user", "--net", "sleep", "60"}}.Start(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.KillSession()) }()
	require.NoError(t, Poll(ctx, 5*time.Second, 20*time.Millisecond, func(c context.Context) (string, error) {
		later, err := NewHostSnapshot(c)
		if err != nil {
			return "", err
		}
		for _, line := range before.Added(later) {
			if strings.Contains(line, "(sleep 60)") {
				return "", nil
			}
		}
		return "the process is not seen", nil
	}))
}
