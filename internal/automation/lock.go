package automation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock is one lock file of a file backend, in the engine's own format.
type lock struct {
	Pid       int       `json:"pid"`
	Username  string    `json:"username"`
	Hostname  string    `json:"hostname"`
	Timestamp time.Time `json:"timestamp"`

	file string
}

func (l lock) String() string {
	return fmt.Sprintf("process %d of %s@%s since %s", l.Pid, l.Username, l.Hostname, l.Timestamp.Format(time.RFC3339))
}

// locks reads the lock files of a stack below a file backend's folder. A file
// that vanishes meanwhile was a lock given back.
func locks(stateDir, project, stack string) ([]lock, error) {
	pattern := filepath.Join(stateDir, ".pulumi", "locks", "organization", project, stack, "*.json")
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("list the locks of stack %s: %w", stack, err)
	}
	var found []lock
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the lock of stack %s: %w", stack, err)
		}
		l := lock{file: f}
		if err := json.Unmarshal(raw, &l); err != nil && len(raw) > 0 {
			return nil, fmt.Errorf("the lock file %s is damaged: remove it if no other run is active: %w", f, err)
		}
		found = append(found, l)
	}
	return found, nil
}

// ended reports whether the lock's owner is certainly gone: it ran on this host
// and its process is no more, is a zombie, or began after the lock was written
// (its number was given to another). In doubt it is alive.
func (l lock) ended(host, procRoot string) bool {
	if l.Pid <= 0 || l.Hostname != host {
		return false
	}
	if err := syscall.Kill(l.Pid, 0); errors.Is(err, syscall.ESRCH) {
		return true
	}
	raw, err := os.ReadFile(filepath.Join(procRoot, strconv.Itoa(l.Pid), "stat"))
	if err != nil {
		return false
	}
	// The command name is in brackets and may hold anything: count from its end.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) > 0 && fields[0] == "Z" {
		return true
	}
	info, err := os.Stat(filepath.Join(procRoot, strconv.Itoa(l.Pid)))
	// A second of tolerance: the folder's time is the process's start.
	return err == nil && !l.Timestamp.IsZero() && info.ModTime().After(l.Timestamp.Add(time.Second)) &&
		!strings.Contains(commandName(raw), "pulumi")
}

func commandName(stat []byte) string {
	s := string(stat)
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return ""
	}
	return s[open+1 : end]
}
