// Package forward makes Services of a cluster answer on loopback, whichever of their
// pods is ready at the time.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// patience is how long a new connection waits for a pod that takes it.
	patience = 5 * time.Second
	retry    = 100 * time.Millisecond
	// others is how many ports after a taken one are tried.
	others = 100
)

// Target is a port of a Service and the local port it is usually forwarded to.
type Target struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      int    `json:"port"`
	LocalPort int    `json:"localPort"`
	// TLS is whether it speaks HTTPS.
	TLS bool `json:"tls,omitempty"`
}

// Conn is a connection to a pod.
type Conn interface {
	io.ReadWriteCloser
	// CloseWrite says that nothing more will be sent.
	CloseWrite() error
}

// Dial connects to a ready pod behind a target.
type Dial func(ctx context.Context, t Target) (Conn, error)

// Listener is a target that listens on loopback.
type Listener struct {
	Target
	// Port it listens on: LocalPort, or the next one that was free.
	Listening int
	// TakenBy is who has LocalPort, as far as that can be seen; empty if it is ours.
	TakenBy string
	tcp     net.Listener
}

// Listen takes a local port for every target. After an error none is held.
func Listen(targets []Target) (listeners []*Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				l.tcp.Close()
			}
			listeners = nil
		}
	}()
	for _, t := range targets {
		l, err := listen(t)
		if err != nil {
			return listeners, fmt.Errorf("forward %s: %w", t.Name, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func listen(t Target) (*Listener, error) {
	l := &Listener{Target: t}
	for port := t.LocalPort; port < t.LocalPort+others; port++ {
		tcp, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			if port == t.LocalPort {
				l.TakenBy = holder(port)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		l.tcp, l.Listening = tcp, port
		return l, nil
	}
	return nil, fmt.Errorf("no local port from %d to %d is free", t.LocalPort, t.LocalPort+others-1)
}

// Serve forwards connections until the context ends, and then ends them all.
func Serve(ctx context.Context, listeners []*Listener, dial Dial, log *slog.Logger) {
	var wg sync.WaitGroup
	for _, l := range listeners {
		context.AfterFunc(ctx, func() { l.tcp.Close() })
		wg.Go(func() {
			for {
				local, err := l.tcp.Accept()
				if err != nil {
					return // closed: nothing else ends a listener on loopback
				}
				wg.Go(func() { serve(ctx, l.Target, local, dial, log) })
			}
		})
	}
	wg.Wait()
}

func serve(ctx context.Context, t Target, local net.Conn, dial Dial, log *slog.Logger) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { local.Close() })
	remote, err := connect(ctx, t, dial)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("a connection was not forwarded", "to", t.Name, "error", err)
		}
		return
	}
	context.AfterFunc(ctx, func() { remote.Close() })
	go func() {
		_, _ = io.Copy(remote, local)
		_ = remote.CloseWrite()
	}()
	_, _ = io.Copy(local, remote)
}

// connect tries until a pod takes the connection or patience is over.
func connect(ctx context.Context, t Target, dial Dial) (remote Conn, err error) {
	waited := wait.PollUntilContextTimeout(ctx, retry, patience, true, func(ctx context.Context) (bool, error) {
		next, failed := dial(ctx, t)
		// That time is up is not why nobody took it.
		if failed == nil || err == nil || ctx.Err() == nil {
			remote, err = next, failed
		}
		return failed == nil, nil
	})
	if waited == nil {
		return remote, nil
	}
	return nil, err
}
