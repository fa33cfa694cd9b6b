package rig

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RunWithJanitor runs all tests of a package and removes its instances then, also if it
// is interrupted or killed. It returns the code to exit with.
func RunWithJanitor(m *testing.M, instances ...Instance) int {
	janitor, err := NewJanitor(instances...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The janitor cleans up after this process, so a signal may just end it.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "interrupted: the instances of this run are being removed")
		os.Exit(130)
	}()
	code := m.Run()
	if err := janitor.Finish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Logged runs a command and logs how it went.
func Logged(ctx context.Context, t *testing.T, c Command) Result {
	t.Helper()
	r, err := c.Run(ctx)
	require.NoError(t, err)
	t.Logf("%s: exit %d after %s", r.Command, r.Code, r.Took.Round(100*time.Millisecond))
	return r
}

// Succeed runs a command that has to end well.
func Succeed(ctx context.Context, t *testing.T, c Command) Result {
	t.Helper()
	r := Logged(ctx, t, c)
	require.Zero(t, r.Code, "%s", r)
	return r
}

// Program is the path of one in the PATH of an environment; its name if it is not there.
func Program(env []string, name string) string {
	for _, dir := range filepath.SplitList(Lookup(env, "PATH")) {
		candidate := filepath.Join(dir, name)
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate
		}
	}
	return name
}
