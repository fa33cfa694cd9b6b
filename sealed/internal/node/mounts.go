package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// covered folders of the host are empty inside a node, so that nothing of the
// node is written outside its instance; the cache cannot be in one of them.
var covered = []string{"/run", "/var/lib", "/var/log"}

func isCovered(path string) bool {
	return slices.ContainsFunc(covered, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}

// kernelTunables as a kubelet wants them. It would change them for the whole
// machine; inside the node they look as if that had been done.
var kernelTunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// enterMounts gives the calling process, first of a new mount namespace, the
// node's view of the file system.
func enterMounts(i *Instance) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts from the host: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts with pods: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range covered {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for from, to := range map[string]string{
		"containerd": "/var/lib/containerd",
		"etcd":       "/var/lib/etcd",
		"kubelet":    "/var/lib/kubelet",
		"volumes":    volumeDir,
		"pods":       "/var/log/pods",
		"pki":        configDir + "/pki",
		"logs":       logDir,
	} {
		if err := bind(i.Path(from), to); err != nil {
			return err
		}
	}
	return pretendTunables(configDir + "/tunables")
}

// volumeDir holds the folders of PersistentVolumes, inside the node.
const volumeDir = "/var/lib/neuroscale/volumes"

func bind(from, to string) error {
	if err := os.MkdirAll(from, 0o700); err != nil {
		return fmt.Errorf("create %s: %w", from, err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("create %s: %w", to, err)
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", from, to, err)
	}
	return nil
}

func pretendTunables(dir string) error {
	for name, value := range kernelTunables {
		real := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(real); err != nil {
			continue
		}
		file := filepath.Join(dir, name)
		if err := writeFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, real, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover %s: %w", real, err)
		}
	}
	return nil
}
