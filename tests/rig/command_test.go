package rig

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shell(script string) Command { return Command{Path: "/bin/bash", Args: []string{"-c", script}} }

func TestRunReportsCodeAndBothStreams(t *testing.T) {
	r, err := shell("echo out; echo one >&2; echo >&2; echo two >&2; exit 3").Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, r.Code)
	require.Equal(t, "out\n", r.Stdout)
	require.Equal(t, []string{"one", "two"}, r.Lines())
}

func TestRunPastItsDeadlineIsAnErrorAndLeavesNoDescendant(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	p, err := shell("sleep 60 & echo started; sleep 60").Start(ctx)
	require.NoError(t, err)
	_, err = p.Wait()
	require.ErrorContains(t, err, "did not end in time")
	require.ErrorContains(t, err, "started")
	requireSessionEnds(t, p)
}

func TestKillsReachAsFarAsTheySay(t *testing.T) {
	// The background sleep is moved into a process group of its own.
	const script = "set -m; sleep 60 & set +m; sleep 60 & echo up; wait"
	for name, c := range map[string]struct {
		kill func(*Process) error
		left int
	}{
		"only the command":  {(*Process).KillOnly, 2},
		"its group":         {(*Process).KillGroup, 1},
		"its session":       {(*Process).KillSession, 0},
		"all of this one":   {func(*Process) error { return KillDescendants() }, 0},
		"one program of it": {func(p *Process) error { return p.KillNamed("sleep") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := shell(script).Start(t.Context())
			require.NoError(t, err)
			defer func() { require.NoError(t, p.KillSession()) }()
			require.NoError(t, Poll(t.Context(), 5*time.Second, 10*time.Millisecond, func(context.Context) (string, error) {
				if len(p.named("sleep")) != 2 {
					return "the two do not sleep yet", nil
				}
				return "", nil
			}))
			require.NoError(t, c.kill(p))
			require.NoError(t, Poll(t.Context(), 5*time.Second, 10*time.Millisecond, func(context.Context) (string, error) {
				if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
					return "the command still runs", nil
				}
				if len(p.Session()) != c.left {
					return "more or fewer processes are left than expected", nil
				}
				return "", nil
			}))
		})
	}
}

func TestAProgramThatDoesNotRunCannotBeKilled(t *testing.T) {
	p, err := shell("sleep 60").Start(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, p.KillSession()) }()
	require.ErrorContains(t, p.KillNamed("pulumi"), "has no process pulumi")
}

func TestPollNamesWhatIsMissing(t *testing.T) {
	err := Poll(t.Context(), 20*time.Millisecond, 5*time.Millisecond, func(context.Context) (string, error) {
		return "no pod", nil
	})
	require.ErrorContains(t, err, "no pod")
}

func TestLookupTakesTheLastValue(t *testing.T) {
	require.Equal(t, "2", Lookup([]string{"A=1", "AB=3", "A=2"}, "A"))
	require.Empty(t, Lookup([]string{"AB=3"}, "A"))
}

func requireSessionEnds(t *testing.T, p *Process) {
	t.Helper()
	require.NoError(t, Poll(t.Context(), 5*time.Second, 10*time.Millisecond, func(context.Context) (string, error) {
		if len(p.Session()) > 0 {
			return "descendants still run", nil
		}
		return "", nil
	}))
}
