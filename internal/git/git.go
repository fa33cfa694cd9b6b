// Package git runs git: to read a person's checkout as that person would, and to
// clone from and push to the forge with nothing of the caller's settings.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// patience is how long one command may take. Over HTTP git waits for ever.
const patience = 2 * time.Minute

// Read runs git in a person's checkout, with that person's settings, and returns
// its output. It takes no lock, so that it disturbs nobody.
func Read(ctx context.Context, dir string, stdin []byte, args ...string) ([]byte, error) {
	return run(ctx, dir, append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0"), stdin, args)
}

// Run runs git in a checkout of the program's own and returns its output, without
// white space around it. Nobody's settings count, and no proxy is asked: the forge
// is in the cluster.
func Run(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := run(ctx, dir, own(), nil, append([]string{"-c", "http.proxy="}, args...))
	return strings.TrimSpace(string(out)), err
}

// own is the environment of git that goes by nobody's settings.
func own() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") })
	return append(env, "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0")
}

// run is one call of git and its output.
func run(ctx context.Context, dir string, env []string, stdin []byte, args []string) ([]byte, error) {
	var stdout bytes.Buffer
	err := stream(ctx, dir, env, stdin, &stdout, args)
	if err != nil {
		return nil, err
	}
	return stdout.Bytes(), nil
}

// stream is one call of git; the error says which and what git said.
func stream(ctx context.Context, dir string, env []string, stdin []byte, stdout io.Writer, args []string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, env, bytes.NewReader(stdin)
	// Asked to stop, git ends its helpers and removes what it began.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("there is no git on PATH: install git")
	case ctx.Err() != nil:
		return fmt.Errorf("git %s: %w", verb(args), ctx.Err())
	}
	said := strings.Join(strings.Fields(stderr.String()), " ")
	if said == "" {
		return fmt.Errorf("git %s: %w", verb(args), err)
	}
	return fmt.Errorf("git %s: %s", verb(args), said)
}

// verb is what git was asked to do, after its settings.
func verb(args []string) string {
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	return args[0]
}
