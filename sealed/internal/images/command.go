package images

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tailLines is how much of a failed command's output its error shows.
const tailLines = 20

// command is a program to run with its output kept for errors.
type command struct {
	dir string
	env []string // added to the environment
	log io.Writer
}

// run runs the program and returns its standard output. The error of a failed
// program ends with the last lines it printed. When ctx ends, the program and
// all it started are killed.
func (c command) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	last, out := &tail{}, &bytes.Buffer{}
	both := &serial{w: io.MultiWriter(last, writerOr(c.log))}
	cmd.Stderr, cmd.Stdout = both, io.MultiWriter(out, both)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		verb := ""
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			verb = " " + args[0]
		}
		return nil, fmt.Errorf("%s%s: %w; its last lines:\n%s", filepath.Base(program), verb, err, last)
	}
	return out.Bytes(), nil
}

func writerOr(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// serial lets several writers share one.
type serial struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// tail keeps the last lines written to it.
type tail struct {
	lines   []string
	partial string
}

func (t *tail) Write(p []byte) (int, error) {
	parts := strings.Split(t.partial+string(p), "\n")
	t.partial = parts[len(parts)-1]
	t.lines = append(t.lines, parts[:len(parts)-1]...)
	if n := len(t.lines) - tailLines; n > 0 {
		t.lines = append(t.lines[:0:0], t.lines[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	lines := t.lines
	if t.partial != "" {
		lines = append(lines[:len(lines):len(lines)], t.partial)
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
