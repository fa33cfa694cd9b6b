package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Runtime is the container runtime of an engine that may not give away every
// capability itself: it takes what is missing out of what it is asked for and goes
// on as runc with the same arguments. It returns only if it cannot.
func Runtime(args []string) error {
	absent, err := missing()
	if err != nil {
		return err
	}
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "--bundle", "-b":
			err = without(filepath.Join(value, "config.json"), absent, "process")
		case "--process", "-p":
			err = without(value, absent)
		}
		if err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find runc: %w", err)
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// without takes capabilities out of the process that is at a path in a JSON file,
// and the score of the out-of-memory killer that such a capability would be needed
// for.
func without(file string, absent []string, at ...string) error {
	if len(absent) == 0 {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	process := whole
	for _, key := range at {
		process, _ = process[key].(map[string]any)
	}
	sets, _ := process["capabilities"].(map[string]any)
	for kind, set := range sets {
		list, _ := set.([]any)
		sets[kind] = slices.DeleteFunc(list, func(c any) bool { return slices.Contains(absent, fmt.Sprint(c)) })
	}
	if text, err = json.Marshal(whole); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
