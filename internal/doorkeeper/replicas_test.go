package doorkeeper

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// replica is one of several that know the same keys.
type replica struct {
	address string
	// listed is whether the Service still names it.
	listed atomic.Bool
	end    func()
}

func startReplica(t *testing.T, s keys.Store) *replica {
	t.Helper()
	d := New(slog.New(slog.DiscardHandler), "keys")
	d.Put("keys", s, 0)
	gate, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	state, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, gate, state) }()
	r := &replica{address: gate.Addr().String()}
	r.listed.Store(true)
	r.end = sync.OnceFunc(func() {
		cancel()
		// A Service learns of it a moment later.
		time.AfterFunc(notice/2, func() { r.listed.Store(false) })
		assert.NoError(t, <-ended)
	})
	t.Cleanup(r.end)
	return r
}

// service is a Service in front of replicas: each new connection goes to one that
// is listed.
type service struct {
	net.Listener
	sync.Mutex
	replicas []*replica
}

func (s *service) forward() {
	for i := 0; ; i++ {
		from, err := s.Accept()
		if err != nil {
			return
		}
		s.Lock()
		var listed []*replica
		for _, r := range s.replicas {
			if r.listed.Load() {
				listed = append(listed, r)
			}
		}
		s.Unlock()
		to, err := net.Dial("tcp", listed[i%len(listed)].address)
		if err != nil {
			from.Close()
			continue
		}
		go func() { _, _ = io.Copy(to, from); to.Close() }()
		go func() { _, _ = io.Copy(from, to); from.Close() }()
	}
}

func TestReplicasEndOneAfterTheOtherWhileRequestsRun(t *testing.T) {
	k, good := keys.New(keys.Key{Tenant: "a"}, time.Now())
	_, wrong := keys.New(keys.Key{Tenant: "a"}, time.Now())
	store := keys.Store{k.ID: k}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	first, second := startReplica(t, store), startReplica(t, store)
	s := &service{Listener: listener, replicas: []*replica{first, second}}
	go s.forward()

	var requests, failed, mistaken atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	// Like the gateway, which has a connection for each of its threads.
	for range 4 {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		client := auth.NewAuthorizationClient(conn)
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				token, pass := good, true
				if i%2 == 1 {
					token, pass = wrong, false
				}
				response, err := client.Check(context.WithoutCancel(ctx), askedBy(token))
				requests.Add(1)
				switch {
				case err != nil:
					failed.Add(1)
					t.Log(err)
				case (response.GetOkResponse() != nil) != pass:
					mistaken.Add(1)
				}
			}
		})
	}
	for _, r := range []*replica{first, second} {
		time.Sleep(200 * time.Millisecond)
		// The new one comes first.
		next := startReplica(t, store)
		s.Lock()
		s.replicas = append(s.replicas, next)
		s.Unlock()
		r.end()
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	all.Wait()
	assert.Zero(t, failed.Load(), "the gateway would refuse these")
	assert.Zero(t, mistaken.Load())
	assert.Greater(t, requests.Load(), int64(100))
	t.Logf("%d requests", requests.Load())
}

func askedBy(token string) *auth.CheckRequest {
	return asked("iris-predictor", "a", publicPort, "10.0.0.1", bearer(token))
}
