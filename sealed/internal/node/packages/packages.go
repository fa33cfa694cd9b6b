// Package packages installs the Debian packages that a node and its images are
// made of.
package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Package is one Debian package and what shows that it, or the same from
// elsewhere, is there.
type Package struct {
	Name    string
	Program string   // on PATH
	Files   []string // any of them, instead of Program
}

// PluginDirs are where container network plugins may be.
var PluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

// Required by a node.
var Required = []Package{
	{Name: "etcd-server", Program: "etcd"},
	{Name: "containerd", Program: "containerd"},
	{Name: "runc", Program: "runc"},
	{Name: "containernetworking-plugins", Files: []string{PluginDirs[0] + "/bridge", PluginDirs[1] + "/bridge"}},
	{Name: "iptables", Program: "iptables"},
	{Name: "ipset", Program: "ipset"},
	{Name: "nftables", Program: "nft"},
	{Name: "conntrack", Program: "conntrack"},
	{Name: "iproute2", Program: "ip"},
	{Name: "mount", Program: "mount"},
}

// Missing names the packages that are not there.
func Missing(all []Package) []string {
	var names []string
	for _, p := range all {
		if !present(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

func present(p Package) bool {
	if p.Program != "" {
		_, err := exec.LookPath(p.Program)
		return err == nil
	}
	for _, f := range p.Files {
		if _, err := os.Stat(f); err == nil {
			return true
		}
	}
	return false
}

// NotInstalled names the packages that Debian's package database does not have
// as installed.
func NotInstalled(ctx context.Context, names []string) []string {
	query := append([]string{"--show", "--showformat", "${db:Status-Status} ${Package}\n"}, names...)
	// It fails if it has never heard of one of them; the others are listed.
	said, _ := exec.CommandContext(ctx, "dpkg-query", query...).Output()
	installed := strings.Split(string(said), "\n")
	var missing []string
	for _, name := range names {
		if !slices.Contains(installed, "installed "+name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Install runs apt-get for the names; no service of theirs is started. Output
// of apt-get goes to log. Package lists are fetched only if apt-get cannot do
// without.
func Install(ctx context.Context, names []string, log io.Writer) (err error) {
	restore, err := denyServices(policyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	install := append([]string{"install", "--yes", "--no-install-recommends"}, names...)
	if apt(ctx, log, install...) == nil {
		return nil
	}
	if err := apt(ctx, log, "update"); err != nil {
		return fmt.Errorf("Debian packages %s are needed but apt-get cannot reach its archive: connect this machine to the internet or install them by hand: %w", strings.Join(names, ", "), err)
	}
	if err := apt(ctx, log, install...); err != nil {
		return fmt.Errorf("Debian packages %s could not be installed: run `apt-get install %s` and see why: %w", strings.Join(names, ", "), strings.Join(names, " "), err)
	}
	return nil
}

func apt(ctx context.Context, log io.Writer, args ...string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Update::Error-Mode=any"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout = log
	cmd.Stderr = io.MultiWriter(log, &said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(said.String()))
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

const (
	policyFile = "/usr/sbin/policy-rc.d"
	saved      = ".before-neuroscale"
	mark       = "# neuroscale: no service may start while packages are installed\n"
	policy     = "#!/bin/sh\n" + mark + "exit 101\n"
)

// denyServices puts a policy in place under which package scripts start no
// service; the returned function brings back what was there. A policy left by
// a run that was killed is taken over.
func denyServices(file string) (restore func() error, err error) {
	content, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, err)
	case !strings.Contains(string(content), mark):
		if err := os.Rename(file, file+saved); err != nil {
			return nil, fmt.Errorf("set %s aside: %w", file, err)
		}
	}
	if err := os.WriteFile(file, []byte(policy), 0o755); err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	return func() error {
		if _, err := os.Stat(file + saved); err == nil {
			return os.Rename(file+saved, file)
		}
		return os.Remove(file)
	}, nil
}
