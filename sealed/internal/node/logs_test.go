package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func logged(t *testing.T) *Instance {
	t.Helper()
	i := example(t)
	require.NoError(t, writeFile(filepath.Join(i.LogDir(), "etcd.log"), []byte("one\ntwo\n"), 0o644))
	require.NoError(t, writeFile(filepath.Join(i.LogDir(), "kubelet.log"), []byte("three\n"), 0o644))
	return i
}

func TestLogsOfAllProcessesSayWhoseTheyAre(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Logs(t.Context(), logged(t), "", false, &out))
	assert.Equal(t, "etcd | one\netcd | two\nkubelet | three\n", out.String())
}

func TestLogsOfOneProcessAreAsPrinted(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Logs(t.Context(), logged(t), "etcd", false, &out))
	assert.Equal(t, "one\ntwo\n", out.String())
}

func TestUnknownProcessIsAnsweredWithTheKnown(t *testing.T) {
	err := Logs(t.Context(), logged(t), "apiserver", false, &bytes.Buffer{})
	assert.EqualError(t, err, `instance a has no process "apiserver": use one of etcd, kubelet, audit`)
	assert.ErrorContains(t, Logs(t.Context(), example(t), "", false, &bytes.Buffer{}), "sealed up --name a")
}

func TestTheAuditLogIsShownInItsOrderAndOnlyIfAskedFor(t *testing.T) {
	i := logged(t)
	for name, line := range map[string]string{
		"audit.log": "newest\n", "audit-2026-01-02T03-04-05.678.log": "newer\n", "audit-2026-01-01T00-00-00.000.log": "oldest\n",
	} {
		require.NoError(t, writeFile(filepath.Join(i.LogDir(), name), []byte(line), 0o600))
	}
	var out bytes.Buffer
	require.NoError(t, Logs(t.Context(), i, "audit", false, &out))
	assert.Equal(t, "oldest\nnewer\nnewest\n", out.String())
	out.Reset()
	require.NoError(t, Logs(t.Context(), i, "", false, &out))
	assert.Equal(t, "etcd | one\netcd | two\nkubelet | three\n", out.String())
}

func TestAFollowedLogThatIsSetAsideIsFollowedUnderItsName(t *testing.T) {
	i := logged(t)
	path := filepath.Join(i.LogDir(), "audit.log")
	require.NoError(t, os.WriteFile(path, []byte("one\n"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	out := &shared{}
	done := make(chan error, 1)
	go func() { done <- Logs(ctx, i, "audit", true, out) }()
	require.Eventually(t, func() bool { return out.text() == "one\n" }, 5*time.Second, 5*time.Millisecond)
	next := filepath.Join(t.TempDir(), "next")
	require.NoError(t, os.WriteFile(next, []byte("two\n"), 0o600))
	require.NoError(t, os.Rename(next, path))
	assert.Eventually(t, func() bool { return out.text() == "one\ntwo\n" }, 5*time.Second, 5*time.Millisecond)
	cancel()
	assert.NoError(t, <-done)
}

// shared is a buffer that is written and read at the same time.
type shared struct {
	sync.Mutex
	bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.Buffer.Write(b)
}

func (s *shared) text() string {
	s.Lock()
	defer s.Unlock()
	return s.Buffer.String()
}

func TestFollowedLogShowsWhatIsAddedAndEndsWithTheContext(t *testing.T) {
	i := logged(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &shared{}
	done := make(chan error, 1)
	go func() { done <- Logs(ctx, i, "kubelet", true, out) }()
	require.Eventually(t, func() bool { return out.text() == "three\n" }, 5*time.Second, 5*time.Millisecond)
	f, err := os.OpenFile(filepath.Join(i.LogDir(), "kubelet.log"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("four\n")
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return out.text() == "three\nfour\n" }, 5*time.Second, 5*time.Millisecond)
	cancel()
	assert.NoError(t, <-done)
}
