package node

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func good() Machine {
	return Machine{OS: "linux", Arch: "amd64", Memory: 8 * gib, Disk: 10e9, Cache: "/home/ns/.cache/neuroscale"}
}

func network(t *testing.T, name, cidr string) Range {
	t.Helper()
	ip, network, err := net.ParseCIDR(cidr)
	require.NoError(t, err)
	return Range{name, &net.IPNet{IP: ip, Mask: network.Mask}}
}

func TestEveryObstacleIsOneSentenceThatSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Machine)
		says  []string
	}{
		"system":       {func(m *Machine) { m.OS = "darwin" }, []string{"darwin/amd64", "linux/amd64"}},
		"architecture": {func(m *Machine) { m.Arch = "arm64" }, []string{"linux/arm64"}},
		"user":         {func(m *Machine) { m.UID = 1000 }, []string{"as root"}},
		"memory":       {func(m *Machine) { m.Memory = 5 * gib }, []string{"5.0 GiB", "at least 6 GiB"}},
		"disk":         {func(m *Machine) { m.Disk = 4e9 }, []string{"4.0 GB", "5 GB", "NEUROSCALE_CACHE"}},
		"disk for builds": {func(m *Machine) { m.Builds = true },
			[]string{"10.0 GB", "building images needs 20 GB"}},
		"cache that would be covered": {func(m *Machine) { m.Cache = "/var/lib/x" }, []string{"/var/lib/x", "NEUROSCALE_CACHE"}},
		"cgroups":                     {func(m *Machine) { m.Controllers = []string{"memory", "pids"} }, []string{"memory, pids"}},
		"addresses": {func(m *Machine) { m.Ranges = []Range{network(t, "vpn0", "10.0.0.1/8")} },
			[]string{"10.88.0.0/30", "vpn0", "--name"}},
		"namespace": {func(m *Machine) { m.Namespace = true }, []string{"/run/neuroscale-netns/neuroscale-default"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := good()
			c.spoil(&m)
			err := m.Check(&Instance{Name: "default"})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "\n")
			for _, words := range c.says {
				assert.ErrorContains(t, err, words)
			}
		})
	}
}

func TestAllObstaclesAreToldAtOnce(t *testing.T) {
	m := good()
	assert.NoError(t, m.Check(&Instance{Name: "default"}))
	m.UID, m.Memory, m.Disk = 1000, gib, 1e9
	assert.Len(t, strings.Split(m.Check(&Instance{Name: "default"}).Error(), "\n"), 3)
}

func TestAddressRangeIsNobodyElses(t *testing.T) {
	others := []*Instance{{Name: "default", Index: 0}, {Name: "b", Index: 1}}
	m := good()
	m.Ranges = []Range{network(t, "other0", "10.88.2.1/30"), network(t, "eth0", "192.0.2.2/24")}

	fresh := &Instance{Name: "c", Index: -1}
	m.choose(fresh, others)
	assert.Equal(t, 3, fresh.Index)

	first := &Instance{Name: "default", Index: -1}
	m.choose(first, nil)
	assert.Zero(t, first.Index)

	kept := &Instance{Name: "b", Index: 1}
	m.choose(kept, others)
	assert.Equal(t, 1, kept.Index, "an instance keeps its addresses over down and up")

	m.Ranges = []Range{network(t, "vpn0", "10.0.0.1/8")}
	none := &Instance{Name: "c", Index: -1}
	m.choose(none, nil)
	assert.ErrorContains(t, m.Check(none), "no address range")
}

func TestThisMachineCanBeInspected(t *testing.T) {
	m, err := Inspect(&Instance{Name: "t-inspect", State: Down, cache: filepath.Join(t.TempDir(), "not", "there", "yet")}, false)
	require.NoError(t, err)
	assert.NotZero(t, m.Memory)
	assert.NotZero(t, m.Disk)
	assert.NotEmpty(t, m.Ranges)
	assert.False(t, m.Namespace)
}

func TestTheREADMESaysWhatAMachineNeeds(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	for _, line := range []string{
		fmt.Sprintf("| memory | %d GiB |", minMemory/gib),
		fmt.Sprintf("| free disk | %.0f GB while images are built, %.0f GB afterwards,", minDiskBuilds/1e9, minDisk/1e9),
	} {
		assert.Contains(t, string(readme), line)
	}
}
