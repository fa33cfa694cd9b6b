package automation

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestALockOfAKilledRunIsReleasedWithALogLine(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	host, err := os.Hostname()
	require.NoError(t, err)
	file := writeLock(t, state, lock{Pid: endedProcess(t), Hostname: host, Timestamp: time.Now()})
	var log strings.Builder
	_, err = open(t, root, state, slog.New(slog.NewTextHandler(&log, nil))).Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.NoFileExists(t, file)
	assert.Contains(t, log.String(), "released the lock of a run that was killed")
}

func TestALiveLockIsNeverStolen(t *testing.T) {
	before := lockWait
	lockWait = 300 * time.Millisecond
	t.Cleanup(func() { lockWait = before })
	host, err := os.Hostname()
	require.NoError(t, err)
	for name, l := range map[string]lock{
		"a live process":      {Pid: os.Getpid(), Hostname: host, Timestamp: time.Now()},
		"another host":        {Pid: 1 << 22, Hostname: "elsewhere", Timestamp: time.Now()},
		"no process id in it": {Hostname: host},
	} {
		t.Run(name, func(t *testing.T) {
			calls := fakepulumi.Install(t, fakepulumi.Script{})
			root, state := checkout(t)
			file := writeLock(t, state, l)
			_, err := open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
			assert.ErrorContains(t, err, "stack ci is locked by process")
			assert.FileExists(t, file)
			assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "up --yes")
		})
	}
}

func TestALockGivenBackMeanwhileIsWaitedFor(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	host, err := os.Hostname()
	require.NoError(t, err)
	file := writeLock(t, state, lock{Pid: os.Getpid(), Hostname: host, Timestamp: time.Now()})
	time.AfterFunc(400*time.Millisecond, func() { os.Remove(file) })
	_, err = open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
	assert.NoError(t, err)
}

func TestALockWhoseProcessNumberWasReusedHasEnded(t *testing.T) {
	proc := t.TempDir()
	pid := os.Getpid()
	dir := filepath.Join(proc, strconv.Itoa(pid))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for name, c := range map[string]struct {
		stat string
		made time.Time
		want bool
	}{
		"the same process":  {"1 (pulumi) S 1", time.Now().Add(-time.Minute), false},
		"a zombie":          {"1 (pulumi) Z 1", time.Now().Add(-time.Minute), true},
		"a younger process": {"1 (some (odd) name) S 1", time.Now().Add(time.Minute), true},
		"an older one":      {"1 (bash) S 1", time.Now().Add(-2 * time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte(c.stat), 0o600))
			require.NoError(t, os.Chtimes(dir, c.made, c.made))
			l := lock{Pid: pid, Hostname: "h", Timestamp: time.Now()}
			assert.Equal(t, c.want, l.ended("h", proc))
		})
	}
}
