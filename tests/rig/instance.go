package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Instance is a sealed node by its name.
type Instance struct {
	Name string
	// Sealed is the path of the sealed binary.
	Sealed string
}

// Up is `sealed up`.
func (i Instance) Up() Command { return i.command("up") }

// Down is `sealed down`, with purge also of what is kept for the next up.
func (i Instance) Down(purge bool) Command {
	if purge {
		return i.command("down", "--purge")
	}
	return i.command("down")
}

func (i Instance) command(verb string, flags ...string) Command {
	return Command{Path: i.Sealed, Args: append([]string{verb, "--name", i.Name}, flags...), Env: CleanEnvironment()}
}

// Environment is what `eval "$(sealed env)"` makes of the caller's environment.
func (i Instance) Environment(ctx context.Context) ([]string, error) {
	script := `set -eu; settings="$("$0" env --name "$1")"; eval "$settings"; env -0`
	r, err := Command{Path: "/bin/sh", Args: []string{"-c", script, i.Sealed, i.Name}, Env: CleanEnvironment()}.Run(ctx)
	if err != nil {
		return nil, err
	}
	if r.Code != 0 {
		return nil, fmt.Errorf("sealed env --name %s: %s", i.Name, r)
	}
	return strings.Split(strings.TrimRight(r.Stdout, "\x00"), "\x00"), nil
}

// CleanEnvironment is the caller's environment without anything that points at
// another cluster or another stack.
func CleanEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "KUBECONFIG" || strings.HasPrefix(name, "PULUMI_")
	})
}

// Lookup is the value of a variable in an environment, "" if it is not there.
// The last one counts, as for a process.
func Lookup(env []string, name string) string {
	value := ""
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// Cache is the cache folder of NeuroScale.
func Cache() (string, error) {
	if dir := os.Getenv("NEUROSCALE_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "neuroscale"), nil
}

// Dir is where the instance keeps what is its own.
func (i Instance) Dir() (string, error) {
	cache, err := Cache()
	return filepath.Join(cache, "instances", i.Name), err
}

// Record is what an instance keeps of its running node.
type Record struct {
	// Index picks its addresses and names its network interface.
	Index int `json:"index"`
	// PID of the node's first process, 0 when there is none.
	PID int `json:"pid"`
}

// Record reads the instance's record.
func (i Instance) Record() (Record, error) {
	var r Record
	dir, err := i.Dir()
	if err != nil {
		return r, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "instance.json"))
	if err != nil {
		return r, fmt.Errorf("read the record of instance %s: %w", i.Name, err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("read the record of instance %s: %w", i.Name, err)
	}
	return r, nil
}

// OnDisk takes the instance down, if it is up, and has all that it keeps on a disk of
// its own from then on, until leave is called.
func (i Instance) OnDisk(ctx context.Context, bytes int64) (disk *Disk, leave func(context.Context) error, err error) {
	if err := succeeded(ctx, i.Down(true)); err != nil {
		return nil, nil, err
	}
	dir, err := i.Dir()
	if err != nil {
		return nil, nil, err
	}
	disk, err = MountDisk(ctx, dir, bytes)
	return disk, i.leaveDisk, err
}

// leaveDisk takes the instance down and unmounts its disk; nothing happens if it has
// none.
func (i Instance) leaveDisk(ctx context.Context) error {
	dir, err := i.Dir()
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	if !strings.Contains(string(mounts), " "+dir+" ") {
		return nil
	}
	if err := errors.Join(succeeded(ctx, i.Down(false)), unmount(dir)); err != nil {
		return err
	}
	return os.Remove(dir)
}

// Refuse has the node's network refuse connections to one of the node's own ports,
// until restore is called.
func (i Instance) Refuse(ctx context.Context, port int) (restore func(context.Context) error, err error) {
	rule := func(what string) Command {
		return Command{Path: "nsenter", Args: []string{
			"--net=" + filepath.Join(namespaceFolder, "neuroscale-"+i.Name), "iptables", "--wait", what, "INPUT",
			"--protocol", "tcp", "--dport", strconv.Itoa(port), "--jump", "REJECT", "--reject-with", "tcp-reset",
		}}
	}
	return func(ctx context.Context) error { return succeeded(ctx, rule("--delete")) }, succeeded(ctx, rule("--insert"))
}

// succeeded is the error of a command that did not end well.
func succeeded(ctx context.Context, c Command) error {
	r, err := c.Run(ctx)
	if err == nil && r.Code != 0 {
		err = errors.New(r.String())
	}
	return err
}
