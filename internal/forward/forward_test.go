package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pod is a server on loopback in a pod's place: it answers with its name and what it
// was sent.
func pod(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				sent, _ := io.ReadAll(c)
				fmt.Fprintf(c, "%s: %s", name, sent)
			}()
		}
	}()
	return l
}

func dialTo(address func() string) Dial {
	return func(ctx context.Context, _ Target) (Conn, error) {
		at := address()
		if at == "" {
			return nil, errors.New("no pod is ready")
		}
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
}

// running forwards one target until the test ends, or end is called.
func running(t *testing.T, dial Dial) (l *Listener, end func()) {
	t.Helper()
	listeners, err := Listen([]Target{{Name: "page", LocalPort: free(t)}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); Serve(ctx, listeners, dial, slog.New(slog.DiscardHandler)) }()
	end = func() { cancel(); <-ended }
	t.Cleanup(end)
	return listeners[0], end
}

// free is a port nobody listens on.
func free(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func ask(t *testing.T, l *Listener, text string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Listening))
	if err != nil {
		return "", err
	}
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(2*patience)))
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

func TestAConnectionGoesToThePodThatIsReadyThen(t *testing.T) {
	first, second := pod(t, "first"), pod(t, "second")
	var at atomic.Value
	at.Store(first.Addr().String())
	l, _ := running(t, dialTo(func() string { return at.Load().(string) }))
	answer, err := ask(t, l, "hello")
	require.NoError(t, err)
	assert.Equal(t, "first: hello", answer)
	first.Close()
	at.Store(second.Addr().String())
	answer, err = ask(t, l, strings.Repeat("x", 1<<20))
	require.NoError(t, err)
	assert.Equal(t, "second: "+strings.Repeat("x", 1<<20), answer)
}

func TestAConnectionWaitsForAPodButNotForEver(t *testing.T) {
	p := pod(t, "late")
	var at atomic.Value
	at.Store("")
	l, _ := running(t, dialTo(func() string { return at.Load().(string) }))
	time.AfterFunc(300*time.Millisecond, func() { at.Store(p.Addr().String()) })
	answer, err := ask(t, l, "hello")
	require.NoError(t, err)
	assert.Equal(t, "late: hello", answer)

	at.Store("")
	begun := time.Now()
	answer, _ = ask(t, l, "hello")
	assert.Empty(t, answer, "it was answered by nobody")
	assert.InDelta(t, patience.Seconds(), time.Since(begun).Seconds(), 1)
}

func TestTheEndEndsConnectionsAndListeners(t *testing.T) {
	p := pod(t, "slow")
	l, end := running(t, dialTo(func() string { return p.Addr().String() }))
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Listening))
	require.NoError(t, err)
	defer c.Close()
	end()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	_, err = ask(t, l, "hello")
	assert.Error(t, err, "it still listens")
}

func TestATakenPortIsNamedWithWhoHasItAndTheNextIsUsed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	listeners, err := Listen([]Target{{Name: "page", LocalPort: port}})
	require.NoError(t, err)
	defer listeners[0].tcp.Close()
	assert.Greater(t, listeners[0].Listening, port)
	assert.Contains(t, listeners[0].TakenBy, fmt.Sprintf("(process %d)", os.Getpid()))
}
