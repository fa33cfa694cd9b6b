package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// janitorVariable carries the instances to purge to the janitor.
const janitorVariable = "NEUROSCALE_E2E_JANITOR"

// Janitor removes the instances of a test run when the run has ended, however it
// ended: it is a process of its own that waits for the end of a pipe.
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
	if err := purge(strings.Split(work, "\n")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// NewJanitor starts the janitor of instances.
func NewJanitor(instances ...Instance) (*Janitor, error) {
	var work []string
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
	return &Janitor{cmd: cmd, pipe: write}, nil
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

func purge(work []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var problems []error
	for i := 0; i+1 < len(work); i += 2 {
		r, err := Instance{Sealed: work[i], Name: work[i+1]}.Down(true).Run(ctx)
		if err == nil && r.Code != 0 {
			err = errors.New(r.String())
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
