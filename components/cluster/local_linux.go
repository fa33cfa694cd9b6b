package cluster

import (
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// local looks at this machine if the engine runs on its kernel: Docker Desktop has a
// machine of its own.
func local(host string, info Info) *Local {
	if host != "" && !strings.HasPrefix(host, "unix://") || strings.Contains(info.OperatingSystem, "Docker Desktop") {
		return nil
	}
	l := &Local{Inotify: math.MaxInt, Disk: leastDisk}
	if text, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		l.Controllers = strings.Fields(string(text))
	}
	if text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			l.Inotify = n
		}
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(info.DockerRootDir, &fs) == nil {
		l.Disk = fs.Bavail * uint64(fs.Bsize)
	}
	return l
}
