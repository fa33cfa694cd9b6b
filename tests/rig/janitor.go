package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// janitorVariable carries what to clean up to the janitor.
	janitorVariable = "NEUROSCALE_E2E_JANITOR"
	// runVariable marks every process of a test run.
	runVariable = "NEUROSCALE_E2E_RUN"
)

// Janitor ends the commands and removes the instances of a test run when the run
// has ended, however it ended: it is a process of its own that waits for the end
// of a pipe.
type Janitor struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// IfJanitor does the janitor's work and ends the process, if that is what this
// process was started for. A TestMain calls it first.
func IfJanitor() {
	work, ok := os.LookupEnv(janitorVariable)
	if !ok {
		return
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	run, instances, _ := strings.Cut(work, "\n")
	if err := errors.Join(killMarked(run), purge(strings.Split(instances, "\n"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// NewJanitor starts the janitor of instances, and of the commands that this
// process starts from now on.
func NewJanitor(instances ...Instance) (*Janitor, error) {
	run := strconv.Itoa(os.Getpid())
	work := []string{run}
	for _, i := range instances {
		work = append(work, i.Sealed, i.Name)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	defer read.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), janitorVariable+"="+strings.Join(work, "\n"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, os.Stdout, os.Stderr
	// Its own session: a ctrl-C in the terminal is not for the janitor.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the janitor: %w", err), write.Close())
	}
	return &Janitor{cmd: cmd, pipe: write}, os.Setenv(runVariable, run)
}

// Finish lets the janitor work and waits for it.
func (j *Janitor) Finish() error {
	if err := j.pipe.Close(); err != nil {
		return err
	}
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("the janitor: %w", err)
	}
	return nil
}

// killMarked ends every process of a run.
func killMarked(run string) error {
	mark := []byte("\x00" + runVariable + "=" + run + "\x00")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	var problems []error
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environment, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, environment...), mark) {
			continue // It is gone, or not of this run.
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			problems = append(problems, fmt.Errorf("kill process %d: %w", pid, err))
		}
	}
	return errors.Join(problems...)
}

func purge(work []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var problems []error
	for i := 0; i+1 < len(work); i += 2 {
		instance := Instance{Sealed: work[i], Name: work[i+1]}
		// What is a disk of its own cannot be removed while it is mounted.
		problems = append(problems, instance.leaveDisk(ctx))
		problems = append(problems, succeeded(ctx, instance.Down(true)))
	}
	return errors.Join(problems...)
}
