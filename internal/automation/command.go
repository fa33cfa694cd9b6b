package automation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/blang/semver"
)

// cancelGrace is how long the engine may take to end its running steps and save
// the state after it was asked to stop.
const cancelGrace = 90 * time.Second

// command runs the pulumi executable. It differs from the Automation API's own
// in what makes ctrl-C and kills safe: the engine is in a process group of its
// own, so that a terminal's ctrl-C reaches it once and not twice (twice means
// "leave everything as it is"), it gets time to save its state, and it is
// interrupted when this process dies.
type command struct {
	path    string
	version semver.Version
	// selected is whether the stack is known to exist.
	selected bool
}

// findPulumi looks pulumi up in PATH and asks it for its version.
func findPulumi(ctx context.Context) (*command, error) {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return nil, errors.New("the pulumi command is not in PATH: install it from https://www.pulumi.com/docs/install/, " +
			"or on a sealed machine run `eval \"$(sealed env)\"`")
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s version: %w", path, err)
	}
	v, err := semver.ParseTolerant(strings.TrimSpace(string(out)))
	if err != nil {
		return nil, fmt.Errorf("%s says its version is %q: reinstall it: %w", path, strings.TrimSpace(string(out)), err)
	}
	if minimum := semver.MustParse("3.181.0"); v.LT(minimum) {
		return nil, fmt.Errorf("pulumi %s is too old: install %s or newer from https://www.pulumi.com/docs/install/", v, minimum)
	}
	return &command{path: path, version: v}, nil
}

// Version is the executable's own.
func (c *command) Version() semver.Version { return c.version }

// lazyCollector lets the engine's heap grow further than Go does by itself: it writes the
// whole state after every step, and a fifth of its time went into collecting what that
// left behind.
const lazyCollector = "GOGC=400"

// Run implements auto.PulumiCommand. The returned code is -2 if pulumi could
// not be run or did not end by itself.
func (c *command) Run(ctx context.Context, workdir string, stdin io.Reader, outputs, errorOutputs []io.Writer,
	env []string, args ...string,
) (string, string, int, error) {
	if answer, ok := c.answer(args); ok {
		return answer, "", 0, nil
	}
	if !slices.Contains(args, "--non-interactive") {
		args = append(args, "--non-interactive")
	}
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Dir = workdir
	cmd.Env = slices.Concat([]string{lazyCollector}, os.Environ(), env, []string{"PULUMI_AUTOMATION_API=true"})
	var stdout, stderr bytes.Buffer
	cmd.Stdout = io.MultiWriter(append(outputs, &stdout)...)
	cmd.Stderr = io.MultiWriter(append(errorOutputs, &stderr)...)
	cmd.Stdin = stdin
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cancelGrace

	// The signal at the parent's death belongs to the thread that started the
	// child: hold on to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setProcessAttributes(cmd)
	err := cmd.Run()
	code := -2
	var exit *exec.ExitError
	switch {
	case err == nil:
		code = 0
	case errors.As(err, &exit):
		code = exit.ExitCode()
	}
	if ctx.Err() != nil && err != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return stdout.String(), stderr.String(), code, err
}

// answer serves what the Automation API asks around an operation and nobody here
// needs: each would start the whole executable. Every operation names its stack,
// so one that exists need not be selected; the history is not looked at; and
// outputs are only read with their secrets.
func (c *command) answer(args []string) (string, bool) {
	if len(args) < 2 || args[0] != "stack" {
		return "", false
	}
	switch {
	case args[1] == "select" && c.selected:
		return "", true
	case args[1] == "history":
		return "[]", true
	case args[1] == "output" && !slices.Contains(args, "--show-secrets"):
		return "{}", true
	}
	return "", false
}
