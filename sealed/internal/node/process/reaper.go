// Package process starts the node's processes, restarts them when they crash
// and reaps every orphan, as the first process of a pid namespace must.
package process

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Reaper collects every process that ends. Only one may run, and nothing else
// in the program may wait for children.
type Reaper struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
	signals chan os.Signal
}

// NewReaper starts collecting; Close ends it.
func NewReaper() *Reaper {
	r := &Reaper{waiting: map[int]chan syscall.WaitStatus{}, signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, syscall.SIGCHLD)
	go func() {
		for range r.signals {
			r.collect()
		}
	}()
	return r
}

// Close stops collecting.
func (r *Reaper) Close() {
	signal.Stop(r.signals)
	close(r.signals)
}

func (r *Reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended, ok := r.waiting[pid]; ok {
			ended <- status
			delete(r.waiting, pid)
		}
	}
}

// start runs a program; the channel tells how it ended. The lock keeps its
// end from being collected before anybody waits for it.
func (r *Reaper) start(path string, args []string, attr *os.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := os.StartProcess(path, args, attr)
	if err != nil {
		return 0, nil, err
	}
	pid := p.Pid
	if err := p.Release(); err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = ended
	return pid, ended, nil
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return fmt.Sprintf("was ended by signal %q", s.Signal())
	}
	return fmt.Sprintf("ended with exit code %d", s.ExitStatus())
}
