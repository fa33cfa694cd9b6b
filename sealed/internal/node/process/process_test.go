package process

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func supervised(t *testing.T) (*Supervisor, context.Context, context.CancelFunc) {
	t.Helper()
	reaper := NewReaper()
	ctx, cancel := context.WithCancel(t.Context())
	s := NewSupervisor(reaper, t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { cancel(); s.Wait(); reaper.Close() })
	return s, ctx, cancel
}

func shell(name, script string) Spec {
	return Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}}
}

func TestProcessThatKeepsCrashingEndsTheNodeWithItsName(t *testing.T) {
	s, ctx, _ := supervised(t)
	s.Run(ctx, shell("etcd", "echo no space left; exit 3"))
	select {
	case err := <-s.Failed():
		assert.EqualError(t, err, "etcd ended with exit code 3 5 times in a row")
	case <-time.After(20 * time.Second):
		t.Fatal("the supervisor never gave up")
	}
	log, err := os.ReadFile(s.LogFile("etcd"))
	require.NoError(t, err)
	assert.Equal(t, 5, strings.Count(string(log), "no space left"), "every start is logged")
}

func TestAProcessThatFindsItsDiskFullIsStartedUntilThereIsRoom(t *testing.T) {
	s, ctx, _ := supervised(t)
	var asked atomic.Int32
	s.full = func(dir string) bool {
		assert.Equal(t, s.logs, dir)
		return asked.Add(1) <= 1
	}
	s.Run(ctx, shell("etcd", "exit 3"))
	select {
	case err := <-s.Failed():
		assert.EqualValues(t, 2, asked.Load(), "%s, while the disk was full", err)
	case <-time.After(30 * time.Second):
		t.Fatal("it is started for ever")
	}
}

func TestADiskIsFullWithoutRoomForAFile(t *testing.T) {
	assert.False(t, full(t.TempDir()), "the test needs a disk with room")
	assert.False(t, full(filepath.Join(t.TempDir(), "nothing")))
	assert.True(t, full("/proc"), "a file system without any room")
}

func TestProcessThatCrashedIsStartedAgain(t *testing.T) {
	s, ctx, _ := supervised(t)
	mark := filepath.Join(t.TempDir(), "second")
	s.Run(ctx, shell("kubelet", "[ -e "+mark+" ] && exec sleep 60; touch "+mark+"; kill -9 $$"))
	assert.Eventually(t, func() bool {
		log, _ := os.ReadFile(mark)
		return log != nil
	}, 5*time.Second, 10*time.Millisecond)
	select {
	case err := <-s.Failed():
		t.Fatal(err)
	case <-time.After(500 * time.Millisecond):
	}
}

func TestProcessesEndWithTheContext(t *testing.T) {
	s, ctx, cancel := supervised(t)
	s.Run(ctx, shell("proxy", "echo $$ ; exec sleep 60"))
	var pid string
	require.Eventually(t, func() bool {
		log, _ := os.ReadFile(s.LogFile("proxy"))
		pid = strings.TrimSpace(string(log))
		return pid != ""
	}, 5*time.Second, 10*time.Millisecond)
	cancel()
	s.Wait()
	assert.NoFileExists(t, "/proc/"+pid+"/stat")
}

func TestProgramThatIsNotThereIsAnErrorAtOnce(t *testing.T) {
	s, ctx, _ := supervised(t)
	s.Run(ctx, Spec{Name: "etcd", Path: "/nowhere/etcd"})
	select {
	case err := <-s.Failed():
		assert.ErrorContains(t, err, "start etcd")
	case <-time.After(5 * time.Second):
		t.Fatal("no error")
	}
}

func TestStartTimeTellsProcessesApartAndZombiesFromTheLiving(t *testing.T) {
	cases := map[string]struct {
		stat  string
		ticks uint64
		alive bool
	}{
		"running":           {"7 (sh) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1", 4711, true},
		"name with blanks":  {"7 (a) b (c) R 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 42 1 1", 42, true},
		"zombie":            {"7 (sh) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1", 0, false},
		"cut off":           {"7 (sh) S 1", 0, false},
		"not a stat at all": {"", 0, false},
	}
	for name, c := range cases {
		ticks, alive := parseStat(c.stat)
		assert.Equal(t, c.ticks, ticks, name)
		assert.Equal(t, c.alive, alive, name)
	}
	_, alive := StartTime(os.Getpid())
	assert.True(t, alive)
	assert.Equal(t, os.Getppid(), Parent(os.Getpid()))
	assert.Zero(t, Parent(-1))
}

func TestDescribeNamesTheProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() }()
	assert.Eventually(t, func() bool { return strings.Contains(Describe(cmd.Process.Pid), "(sleep, state") }, 5*time.Second, 10*time.Millisecond)
}
