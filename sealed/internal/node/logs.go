package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Logs writes what a process of the instance printed, or all of them with their
// names in front of every line if process is "". The process "audit" is the API
// server's log of who changed what, with what is kept of it from before; it is not
// among all. With follow it goes on until ctx ends.
func Logs(ctx context.Context, i *Instance, process string, follow bool, to io.Writer) error {
	files, err := filepath.Glob(filepath.Join(i.LogDir(), "*.log"))
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		return filepath.Base(f) == audit+".log" || strings.HasPrefix(filepath.Base(f), audit+"-")
	})
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".log"))
	}
	if len(names) == 0 {
		return fmt.Errorf("instance %s has no logs: run `sealed up --name %s` first", i.Name, i.Name)
	}
	if process == audit {
		return auditLog(ctx, i, follow, to)
	}
	if process != "" {
		if !slices.Contains(names, process) {
			return fmt.Errorf("instance %s has no process %q: use one of %s", i.Name, process, strings.Join(append(names, audit), ", "))
		}
		return tail(ctx, filepath.Join(i.LogDir(), process+".log"), follow, to)
	}
	var shared sync.Mutex
	var all sync.WaitGroup
	errs := make([]error, len(names))
	for n, name := range names {
		show := func() {
			errs[n] = tail(ctx, files[n], follow, &prefixed{to: to, prefix: []byte(name + " | "), lock: &shared})
		}
		if follow {
			all.Go(show)
		} else {
			show()
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// auditLog shows what was set aside, oldest first, as its names sort by time, and
// then what is being written.
func auditLog(ctx context.Context, i *Instance, follow bool, to io.Writer) error {
	earlier, err := filepath.Glob(filepath.Join(i.LogDir(), audit+"-*.log"))
	if err != nil {
		return err
	}
	slices.Sort(earlier)
	for _, path := range earlier {
		if err := tail(ctx, path, false, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return tail(ctx, filepath.Join(i.LogDir(), audit+".log"), follow, to)
}

func tail(ctx context.Context, path string, follow bool, to io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { f.Close() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(to, f); err != nil {
			return fmt.Errorf("show %s: %w", path, err)
		}
		now, err := os.Stat(path)
		if !follow || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		// A log that was full is set aside, and another has its name.
		if opened, _ := f.Stat(); err == nil && !os.SameFile(now, opened) {
			next, err := os.Open(path)
			if err != nil {
				return fmt.Errorf("open log: %w", err)
			}
			if _, err := io.Copy(to, f); err != nil {
				return errors.Join(fmt.Errorf("show %s: %w", path, err), next.Close())
			}
			f.Close()
			f = next
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// prefixed writes whole lines, each with a prefix.
type prefixed struct {
	to     io.Writer
	prefix []byte
	lock   *sync.Mutex
	rest   []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	p.lock.Lock()
	defer p.lock.Unlock()
	for {
		end := bytes.IndexByte(p.rest, '\n')
		if end < 0 {
			return len(b), nil
		}
		if _, err := p.to.Write(append(slices.Clone(p.prefix), p.rest[:end+1]...)); err != nil {
			return 0, err
		}
		p.rest = p.rest[end+1:]
	}
}
