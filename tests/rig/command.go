// Package rig is what the end-to-end tests stand on: it runs the command lines
// the way a person does, looks at the cluster and the host they act on, and
// cleans up after a test run whichever way that ended.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command is one call of a command line.
type Command struct {
	Path string
	Args []string
	// Dir is the working directory, "" for the caller's.
	Dir string
	// Env is the whole environment; nil means the caller's.
	Env []string
	// UID runs the command as another user and group; nil means the caller's.
	UID *uint32
	// Output, if set, also gets everything printed as it comes.
	Output io.Writer
}

// String is the call as one would type it.
func (c Command) String() string {
	name := c.Path[strings.LastIndexByte(c.Path, '/')+1:]
	return strings.Join(append([]string{name}, c.Args...), " ")
}

// Result is how a command ended.
type Result struct {
	Command string
	Stdout  string
	Stderr  string
	// Code is the exit code, -1 after a signal.
	Code int
	Took time.Duration
}

// Lines are the lines of stderr that are not blank.
func (r Result) Lines() []string { return nonBlank(r.Stderr) }

// String shows everything, for a failure's message.
func (r Result) String() string {
	return fmt.Sprintf("%s: exit %d after %s\n--- stdout\n%s\n--- stderr\n%s", r.Command, r.Code,
		r.Took.Round(100*time.Millisecond), tail(r.Stdout, 6000), tail(r.Stderr, 6000))
}

// Run runs the command to its end. Only a command that could not be started or
// that outlived ctx is an error; an exit code is a result.
func (c Command) Run(ctx context.Context) (Result, error) {
	p, err := c.Start(ctx)
	if err != nil {
		return Result{}, err
	}
	return p.Wait()
}

// Process is a command that was started. It leads a session of its own, so all
// its descendants can be found even when their parents are gone.
type Process struct {
	command        Command
	cmd            *exec.Cmd
	ctx            context.Context
	started        time.Time
	stdout, stderr bytes.Buffer
	done           chan struct{}
	result         Result
	err            error
}

// Start starts the command. At the end of ctx its whole session is killed.
func (c Command) Start(ctx context.Context) (*Process, error) {
	p := &Process{command: c, ctx: ctx, started: time.Now(), done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Env = c.Dir, c.Env
	p.cmd.Stdout, p.cmd.Stderr = io.Writer(&p.stdout), io.Writer(&p.stderr)
	if c.Output != nil {
		p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(&p.stdout, c.Output), io.MultiWriter(&p.stderr, c.Output)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.UID != nil {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: *c.UID, Gid: *c.UID}
	}
	p.cmd.Cancel = func() error { return p.KillSession() }
	// What a killed command leaves running may hold its output open.
	p.cmd.WaitDelay = 2 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c, err)
	}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	defer close(p.done)
	err := p.cmd.Wait()
	p.result = Result{
		Command: p.command.String(), Stdout: p.stdout.String(), Stderr: p.stderr.String(),
		Code: p.cmd.ProcessState.ExitCode(), Took: time.Since(p.started),
	}
	if p.ctx.Err() != nil {
		p.err = fmt.Errorf("%s did not end in time: %w\n%s", p.command, p.ctx.Err(), p.result)
		return
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		p.err = fmt.Errorf("run %s: %w", p.command, err)
	}
}

// Done is closed when the command has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end.
func (p *Process) Wait() (Result, error) {
	<-p.done
	return p.result, p.err
}

// PID of the command itself, not of its descendants.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// KillOnly ends the command by SIGKILL and none of its descendants.
func (p *Process) KillOnly() error { return syscall.Kill(p.PID(), syscall.SIGKILL) }

// KillGroup ends the command's process group by SIGKILL.
func (p *Process) KillGroup() error { return syscall.Kill(-p.PID(), syscall.SIGKILL) }

// KillSession ends the command and every descendant by SIGKILL, those included
// that moved into a process group of their own.
func (p *Process) KillSession() error {
	var problems []error
	for _, pid := range p.Session() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			problems = append(problems, fmt.Errorf("kill process %d of %s: %w", pid, p.command, err))
		}
	}
	return errors.Join(problems...)
}

// KillNamed ends the descendants that run a program of that name by SIGKILL; that there
// is none is an error.
func (p *Process) KillNamed(program string) error {
	found := p.named(program)
	for _, pid := range found {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d of %s: %w", pid, p.command, err)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%s has no process %s that could be killed", p.command, program)
	}
	return nil
}

// named are the processes of the command's session that run a program of that name. One
// that was only just started runs that of its parent still.
func (p *Process) named(program string) []int {
	return slices.DeleteFunc(p.Session(), func(pid int) bool {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err != nil || strings.TrimSpace(string(name)) != program
	})
}

// Session lists the processes of the command's session that still run.
func (p *Process) Session() []int {
	var pids []int
	for pid, s := range processes() {
		if s.session == p.PID() && s.alive() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// KillDescendants ends by SIGKILL every process that this one has started, and what
// those have, as far as their parents still run.
func KillDescendants() error {
	all := processes()
	var problems []error
	for pid := range all {
		for up := all[pid].parent; up > 1; up = all[up].parent {
			if up != os.Getpid() {
				continue
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				problems = append(problems, fmt.Errorf("kill process %d: %w", pid, err))
			}
			break
		}
	}
	return errors.Join(problems...)
}

// processes are all of this host, by their id.
func processes() map[int]stat {
	all := map[int]stat{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok {
			all[pid] = s
		}
	}
	return all
}

// stat is the part of /proc/PID/stat the rig looks at.
type stat struct {
	state           string
	parent, session int
}

func readStat(pid int) (stat, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The command name is in brackets and may hold anything: count from its end.
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(f) < 4 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(f[1])
	session, err2 := strconv.Atoi(f[3])
	return stat{state: f[0], parent: parent, session: session}, err == nil && err2 == nil
}

// Alive says that a process runs; one that only waits to be buried does not.
func Alive(pid int) bool {
	s, ok := readStat(pid)
	return ok && s.alive()
}

func (s stat) alive() bool { return s.state != "Z" && s.state != "X" }

func nonBlank(s string) []string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}
