package process

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A process that ends this often without having lived for steady in between
// will not recover by itself.
const (
	maxCrashes = 5
	steady     = 30 * time.Second
	firstDelay = 200 * time.Millisecond
	maxDelay   = 2 * time.Second
)

// Spec is one process of the node.
type Spec struct {
	Name string
	Path string   // absolute
	Args []string // without the program's name
	Env  []string // whole environment, KEY=VALUE
}

// Supervisor keeps processes running until its context ends.
type Supervisor struct {
	reaper *Reaper
	logs   string
	log    *slog.Logger
	failed chan error
	wg     sync.WaitGroup
	full   func(dir string) bool
}

// NewSupervisor writes what process NAME prints to <logs>/NAME.log.
func NewSupervisor(r *Reaper, logs string, log *slog.Logger) *Supervisor {
	return &Supervisor{reaper: r, logs: logs, log: log, failed: make(chan error, 1), full: full}
}

// Failed tells of the first process that could not be kept running.
func (s *Supervisor) Failed() <-chan error { return s.failed }

// Wait returns when every process has ended, after the context was cancelled.
func (s *Supervisor) Wait() { s.wg.Wait() }

// Run starts the process and restarts it with growing delays when it ends.
func (s *Supervisor) Run(ctx context.Context, spec Spec) {
	s.wg.Go(func() {
		if err := s.keep(ctx, spec); err != nil {
			select {
			case s.failed <- err:
			default:
			}
		}
	})
}

func (s *Supervisor) keep(ctx context.Context, spec Spec) error {
	logs, err := os.OpenFile(s.LogFile(spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	defer logs.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer null.Close()
	attr := &os.ProcAttr{Env: spec.Env, Files: []*os.File{null, logs, logs}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	delay := firstDelay
	for crashes := 1; ; crashes++ {
		begun := time.Now()
		pid, ended, err := s.reaper.start(spec.Path, append([]string{spec.Path}, spec.Args...), attr)
		if err != nil {
			return fmt.Errorf("start %s: %w", spec.Name, err)
		}
		s.log.Info("started", "process", spec.Name, "pid", pid)
		var status syscall.WaitStatus
		select {
		case status = <-ended:
		case <-ctx.Done():
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			<-ended
			return nil
		}
		if time.Since(begun) > steady {
			crashes, delay = 1, firstDelay
		}
		s.log.Warn("ended", "process", spec.Name, "how", describe(status), "crashes", crashes)
		// When there is room again it recovers by itself.
		if crashes >= maxCrashes && s.full(s.logs) {
			crashes, delay = 1, maxDelay
			s.log.Warn("the disk is full, it is started again until there is room", "process", spec.Name, "folder", s.logs)
		}
		if crashes >= maxCrashes {
			return fmt.Errorf("%s %s %d times in a row", spec.Name, describe(status), crashes)
		}
		select {
		case <-time.After(delay):
			delay = min(2*delay, maxDelay)
		case <-ctx.Done():
			return nil
		}
	}
}

// LogFile of a process.
func (s *Supervisor) LogFile(name string) string { return filepath.Join(s.logs, name+".log") }
