package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lock is held by the one command that may change an instance. It ends with
// the process that holds it, however that ends.
type lock struct{ file *os.File }

// acquire waits for the lock file; waiting is told once with who holds it.
func acquire(ctx context.Context, path string, waiting func(holder string)) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create folder of %s: %w", path, err)
	}
	told := false
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open lock %s: %w", path, err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && same(f, path) {
			_ = f.Truncate(0)
			_, err = fmt.Fprintln(f, os.Getpid())
			return &lock{f}, err
		}
		holder, _ := os.ReadFile(path)
		f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if err != nil && !told {
			told = true
			waiting(strings.TrimSpace(string(holder)))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("gave up waiting for process %s, which works on the same instance: %w", strings.TrimSpace(string(holder)), ctx.Err())
		}
	}
}

// same tells a lock file from one that was removed while we waited for it.
func same(f *os.File, path string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	want, err := os.Stat(path)
	return err == nil && os.SameFile(have, want)
}

func (l *lock) release() { l.file.Close() }

// remove gives up the lock together with its file.
func (l *lock) remove() error {
	defer l.file.Close()
	return os.Remove(l.file.Name())
}

func (i *Instance) lockPath() string { return i.Path() + ".lock" }
