package automation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lockWait is how long a lock of a live process is waited for: long enough for
// the engine of a killed run to notice and end, too short to queue behind a
// whole `up` of somebody else.
var lockWait = 45 * time.Second

// releaseLocks removes the locks of processes that are certainly gone and waits
// for those of live ones. Only file backends have lock files to look at.
func (s *Stack) releaseLocks(ctx context.Context) error {
	if s.home.StateDir == "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find this host's name: %w", err)
	}
	deadline := time.Now().Add(lockWait)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	told := false
	for {
		held, err := locks(s.home.StateDir, s.Project.Name, s.Options.Stack)
		if err != nil {
			return err
		}
		var live []lock
		for _, l := range held {
			if !l.ended(host, "/proc") {
				live = append(live, l)
				continue
			}
			// File by file, not `pulumi cancel`: that would take a live lock too.
			if err := os.Remove(l.file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove the stale lock %s: %w", l.file, err)
			}
			s.Log.Warn("released the lock of a run that was killed", "stack", s.Options.Stack, "pid", l.Pid, "since", l.Timestamp)
		}
		if len(live) == 0 {
			return nil
		}
		if !told {
			told = true
			s.Log.Info("waiting for another run to end", "stack", s.Options.Stack, "lock", live[0].String())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("stack %s is locked by %s: wait for it to end, or interrupt it (kill -INT %d)",
				s.Options.Stack, live[0], live[0].Pid)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// dropCutAttributes removes what a kill left of the files in which the backend
// keeps a file's type: unlike the state itself they are not written in one step,
// and none of them is asked for but for being readable.
func (s *Stack) dropCutAttributes() error {
	if s.home.StateDir == "" {
		return nil
	}
	for _, pattern := range []string{"meta.yaml.attrs", "stacks/*/*.attrs", "locks/*/*/*/*.attrs"} {
		files, err := filepath.Glob(filepath.Join(s.home.StateDir, ".pulumi", filepath.FromSlash(pattern)))
		if err != nil {
			return fmt.Errorf("look for the state's attributes: %w", err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil || json.Valid(raw) {
				continue // gone by now, or whole
			}
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove what a killed run left of %s: %w", file, err)
			}
		}
	}
	return nil
}

// clearPending drops the operations a killed run had begun but not recorded the
// end of. The engine only warns about them and keeps them for ever. Exporting
// and importing the state clears them (secrets stay encrypted on the way); it is
// safe because every resource is applied under a fixed name, so that creating
// one again adopts what is there, or Abandoned has removed it.
func (s *Stack) clearPending(ctx context.Context) error {
	if s.home.surelyClean(s.Project.Name, s.Options.Stack) {
		return nil
	}
	state, err := s.run(ctx, nil, "stack", "export")
	if err != nil {
		return s.explain("read the state of stack "+s.Options.Stack, err, nil)
	}
	pending, err := pendingOperations([]byte(state))
	if err != nil || len(pending) == 0 {
		return err
	}
	for _, p := range pending {
		if s.Abandoned == nil || p.Type != "creating" {
			continue
		}
		if err := s.Abandoned(ctx, p.Resource.Type, p.Resource.Inputs); err != nil {
			return err
		}
	}
	if _, err := s.run(ctx, []byte(state), "stack", "import"); err != nil {
		return s.explain("clear the pending operations of stack "+s.Options.Stack, err, nil)
	}
	for _, p := range pending {
		s.Log.Warn("an earlier run was killed, doing this again", "operation", p.Type, "resource", shortURN(p.Resource.URN))
	}
	return nil
}

// unreachableKey is the setting of the Kubernetes provider that is stronger than the
// variable of that meaning.
const unreachableKey = "deleteUnreachable"

// allowUnreachable takes out of the state what a stack of before says there: that the
// objects of a cluster that is gone are not to be forgotten. An up would take it out, and
// without a cluster there is none.
func (s *Stack) allowUnreachable(ctx context.Context) error {
	state, err := s.run(ctx, nil, "stack", "export")
	if err != nil {
		return s.explain("read the state of stack "+s.Options.Stack, err, nil)
	}
	changed, err := withoutUnreachable([]byte(state))
	if err != nil || changed == nil {
		return err
	}
	if _, err := s.run(ctx, changed, "stack", "import"); err != nil {
		return s.explain("write the state of stack "+s.Options.Stack, err, nil)
	}
	return nil
}

// withoutUnreachable is a state whose Kubernetes providers do not have that setting; nil
// if none has.
func withoutUnreachable(state []byte) ([]byte, error) {
	return withProviders(state, func(kind string, settings map[string]any) bool {
		_, has := settings[unreachableKey]
		if kind == "kubernetes" {
			delete(settings, unreachableKey)
		}
		return has && kind == "kubernetes"
	})
}

// withProviders is a state with the settings of its providers changed, which change is
// told of by package; nil if it changed none.
func withProviders(state []byte, change func(kind string, settings map[string]any) bool) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(state))
	d.UseNumber() // what is not looked at stays as it is
	var whole map[string]any
	if err := d.Decode(&whole); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	deployment, _ := whole["deployment"].(map[string]any)
	resources, _ := deployment["resources"].([]any)
	changed := false
	for _, each := range resources {
		r, _ := each.(map[string]any)
		token, _ := r["type"].(string)
		kind, is := strings.CutPrefix(token, "pulumi:providers:")
		if !is {
			continue
		}
		for _, part := range []string{"inputs", "outputs"} {
			if settings, ok := r[part].(map[string]any); ok {
				changed = change(kind, settings) || changed
			}
		}
	}
	if !changed {
		return nil, nil
	}
	return json.Marshal(whole)
}

type pendingOperation struct {
	Type     string `json:"type"`
	Resource struct {
		URN    string         `json:"urn"`
		Type   string         `json:"type"`
		Inputs map[string]any `json:"inputs"`
	} `json:"resource"`
}

func pendingOperations(state []byte) ([]pendingOperation, error) {
	var d struct {
		Deployment struct {
			Pending []pendingOperation `json:"pending_operations"`
		} `json:"deployment"`
	}
	if err := json.Unmarshal(state, &d); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return d.Deployment.Pending, nil
}

func reader(b []byte) io.Reader {
	if b == nil {
		return nil
	}
	return bytes.NewReader(b)
}

// surelyClean looks at a file backend's checkpoint without starting pulumi: no
// mention of pending operations means there are none.
func (h Home) surelyClean(project, stack string) bool {
	raw, err := h.checkpoint(project, stack)
	return err == nil && !bytes.Contains(raw, []byte(`"pending_operations"`))
}
