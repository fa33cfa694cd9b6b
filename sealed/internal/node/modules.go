package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// missingModules names the parts of the kernel that a node needs and that are
// neither built in nor loaded. proc is /proc.
func missingModules(proc string) []string {
	var missing []string
	filesystems, _ := os.ReadFile(filepath.Join(proc, "filesystems"))
	if !strings.Contains(string(filesystems), "\toverlay\n") {
		missing = append(missing, "overlay")
	}
	// Without it a pod cannot reach a Service whose pod is on the same bridge.
	if _, err := os.Stat(filepath.Join(proc, "sys/net/bridge")); err != nil {
		missing = append(missing, "br_netfilter")
	}
	return missing
}

// loadModules says which kernel modules it loads and does it. They stay loaded.
func loadModules(ctx context.Context, o Options) error {
	var errs []error
	for _, name := range missingModules("/proc") {
		o.Say("loading kernel module %s", name)
		if said, err := exec.CommandContext(ctx, "modprobe", name).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("kernel module %s is needed and could not be loaded: run `modprobe %s` as root on the machine itself: %w %s", name, name, err, strings.TrimSpace(string(said))))
		}
	}
	return errors.Join(errs...)
}
