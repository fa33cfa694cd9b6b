// Package node runs a single real Kubernetes node without Docker: in its own
// network, pid, mount and host name namespaces, so that ending one process
// ends all of it.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

// Fixed addresses and names inside every node.
const (
	ServiceCIDR     = "10.43.0.0/16"
	PodCIDR         = "10.42.0.0/16"
	ServiceIP       = "10.43.0.1"
	DNSIP           = "10.43.0.10"
	Domain          = "cluster.local"
	APIPort         = 6443
	RegistryPort    = 5001
	ObjectStorePort = 4443
)

// DefaultName of an instance.
const DefaultName = "default"

// maxIndex bounds the address ranges 10.88.<index>.0/30.
const maxIndex = 255

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$`)

// CheckName says in one sentence what is wrong with an instance name.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("instance name %q is not valid: use 1 to 22 lower-case letters, digits and dashes, with no dash at either end", name)
	}
	return nil
}

// State an instance was brought to by the last command that finished a step.
type State string

// States of an instance.
const (
	Down     State = "down"
	Starting State = "starting"
	Up       State = "up"
	Stopping State = "stopping"
)

// Instance is one named node, as kept in its folder.
type Instance struct {
	Name  string `json:"name"`
	Index int    `json:"index"` // picks the address range
	State State  `json:"state"`
	// PID of the node's first process in the host's numbering and when it was
	// started, in clock ticks since boot; 0 when there is none.
	PID       int    `json:"pid,omitempty"`
	StartTime uint64 `json:"startTime,omitempty"`
	// Address is that of the container the node is in; empty for a node with a pair of
	// interfaces of its own.
	Address string `json:"address,omitempty"`
	// Launched is when that was, in whole seconds, as Kubernetes counts.
	Launched time.Time `json:"launched,omitzero"`

	cache string
}

// FullName is what Kubernetes calls the node, and the name of its network
// namespace, cgroup and host.
func (i *Instance) FullName() string { return "neuroscale-" + i.Name }

// Link is the host's end of the pair of network interfaces.
func (i *Instance) Link() string { return "neuroscale" + strconv.Itoa(i.Index) }

// HostIP and NodeIP are the two ends of the pair.
func (i *Instance) HostIP() net.IP { return net.IPv4(10, 88, byte(i.Index), 1) }

// NodeIP is where everything of the node listens.
func (i *Instance) NodeIP() net.IP {
	if i.Address != "" {
		return net.ParseIP(i.Address).To4()
	}
	return net.IPv4(10, 88, byte(i.Index), 2)
}

// Range of both addresses.
func (i *Instance) Range() *net.IPNet {
	return &net.IPNet{IP: net.IPv4(10, 88, byte(i.Index), 0).To4(), Mask: net.CIDRMask(30, 32)}
}

func (i *Instance) url(scheme string, port int) string {
	return fmt.Sprintf("%s://%s:%d", scheme, i.NodeIP(), port)
}

// APIServer URL.
func (i *Instance) APIServer() string { return i.url("https", APIPort) }

// Registry URL.
func (i *Instance) Registry() string { return i.url("http", RegistryPort) }

// ObjectStore URL.
func (i *Instance) ObjectStore() string { return i.url("http", ObjectStorePort) }

// Path of something in the instance's folder.
func (i *Instance) Path(parts ...string) string {
	return filepath.Join(append([]string{i.cache, "instances", i.Name}, parts...)...)
}

// Kubeconfig of the cluster's administrator.
func (i *Instance) Kubeconfig() string { return i.Path("kubeconfig") }

// Passphrase file of the Pulumi state. It is outside the instance's folder: who
// copies that has not copied what opens the state.
func (i *Instance) Passphrase() string { return filepath.Join(i.cache, "passphrases", i.Name) }

// formerPassphrase is where an earlier version kept it.
func (i *Instance) formerPassphrase() string { return i.Path("passphrase") }

// StateDir holds the Pulumi state of what runs on this node.
func (i *Instance) StateDir() string { return i.Path("state") }

// LogDir holds one file a process.
func (i *Instance) LogDir() string { return i.Path("logs") }

// failure is where the node leaves the reason of its end.
func (i *Instance) failure() string { return i.Path("failure") }

// Load reads the instance; one that never was has State Down and Index -1.
func Load(cache, name string) (*Instance, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	i := &Instance{Name: name, Index: -1, State: Down, cache: cache}
	content, err := os.ReadFile(i.Path("instance.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read instance %s: %w", name, err)
	}
	if err := json.Unmarshal(content, i); err != nil {
		return nil, fmt.Errorf("instance file %s is damaged: remove it and run `sealed down --name %s`: %w", i.Path("instance.json"), name, err)
	}
	i.Name, i.cache = name, cache
	return i, nil
}

// Save writes the instance at once or not at all.
func (i *Instance) Save() error {
	content, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode instance %s: %w", i.Name, err)
	}
	return writeFile(i.Path("instance.json"), append(content, '\n'), 0o644)
}

// Running says whether the node's first process lives.
func (i *Instance) Running() bool {
	if i.PID == 0 {
		return false
	}
	ticks, alive := process.StartTime(i.PID)
	return alive && ticks == i.StartTime
}

// List reads every instance of the cache, by name.
func List(cache string) ([]*Instance, error) {
	entries, err := os.ReadDir(filepath.Join(cache, "instances"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var all []*Instance
	for _, e := range entries {
		if !e.IsDir() || CheckName(e.Name()) != nil {
			continue
		}
		i, err := Load(cache, e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// writeFile replaces a file in one step.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create folder of %s: %w", path, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
