package automation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Lock is one that a run has of the stack.
type Lock struct {
	// Holder is its process, whose and where, Since when.
	Holder string
	Since  time.Time
	// Ended is whether that process is certainly gone.
	Ended bool
}

// Locks of the stack. Backends other than file:// have none to look at.
func (s *Stack) Locks() ([]Lock, error) {
	if s.home.StateDir == "" {
		return nil, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find this host's name: %w", err)
	}
	held, err := locks(s.home.StateDir, s.Project.Name, s.Options.Stack)
	var all []Lock
	for _, l := range held {
		all = append(all, Lock{Holder: l.String(), Since: l.Timestamp, Ended: l.ended(host, "/proc")})
	}
	return all, err
}

// Release removes the locks of processes that are certainly gone, and waits for
// those of live ones.
func (s *Stack) Release(ctx context.Context) error { return s.releaseLocks(ctx) }

// Pending are the operations, in a file backend's state, that a killed run had begun
// and not recorded the end of: what was done to which resource. Any other backend is
// not asked.
func (s *Stack) Pending() ([]string, error) {
	raw, err := s.home.checkpoint(s.Project.Name, s.Options.Stack)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of stack %s: %w", s.Options.Stack, err)
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				Pending []pendingOperation `json:"pending_operations"`
			} `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return nil, fmt.Errorf("read the state of stack %s: %w", s.Options.Stack, err)
	}
	var all []string
	for _, p := range state.Checkpoint.Latest.Pending {
		all = append(all, p.Type+" "+shortURN(p.Resource.URN))
	}
	return all, nil
}

// ClearPending drops them: the next Up does them again.
func (s *Stack) ClearPending(ctx context.Context) error {
	if err := s.releaseLocks(ctx); err != nil {
		return err
	}
	return s.clearPending(ctx)
}
