package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is one of Debian's, of which some programs are used.
type Package struct {
	Name string
	// Programs by where they are in it.
	Programs []string
}

// Docker is the engine's.
var Docker = Package{"docker.io", []string{"usr/sbin/dockerd", "usr/sbin/docker-proxy", "usr/bin/docker-init", "usr/bin/docker"}}

// Fetch unpacks the programs below dir, without installing the package: its service is
// not wanted. What is there already is taken. apt-get checks the package against its
// signed lists.
func (p Package) Fetch(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("folder for package %s: %w", p.Name, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "."+p.Name+"-*")
	if err != nil {
		return fmt.Errorf("folder for package %s: %w", p.Name, err)
	}
	defer os.RemoveAll(work)
	if err := command(ctx, work, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", p.Name); err != nil {
		if err := command(ctx, work, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"); err != nil {
			return err
		}
		if err := command(ctx, work, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", p.Name); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return errors.Join(err, fmt.Errorf("apt-get downloaded %d packages instead of %s", len(debs), p.Name))
	}
	whole, fresh := filepath.Join(work, "all"), filepath.Join(work, "programs")
	if err := command(ctx, work, "dpkg-deb", "--extract", debs[0], whole); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	for _, program := range p.Programs {
		if err := os.Rename(filepath.Join(whole, program), filepath.Join(fresh, filepath.Base(program))); err != nil {
			return fmt.Errorf("package %s holds no %s: %w", p.Name, program, err)
		}
	}
	return os.Rename(fresh, dir)
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args[len(args)-1], err, bytes.TrimSpace(said[max(0, len(said)-500):]))
	}
	return nil
}

// missing capabilities are those this process does not have and an engine gives
// away, as in a config.json.
func missing() ([]string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("read the capabilities: %w", err)
	}
	var has uint64
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "CapEff: %x", &has); n == 1 {
			break
		}
	}
	const sysResource = 24
	if has&(1<<sysResource) == 0 {
		return []string{"CAP_SYS_RESOURCE"}, nil
	}
	return nil, nil
}
