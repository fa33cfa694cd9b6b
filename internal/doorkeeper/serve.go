package doorkeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// notice is how long new connections still come when this process is told to
	// end: until everybody has taken it off their list. A pod that is deleted by
	// force has two seconds in all.
	notice = 1500 * time.Millisecond
	// patience is how long requests that are here may then take.
	patience = 2 * time.Second
	// connectionAge spreads the gateway's few connections over the replicas again
	// after one has come.
	connectionAge = 30 * time.Second
)

// Serve answers the gateway over gRPC, and /healthz, /readyz and /metrics over HTTP,
// until ctx ends, and then everybody who was already on the way.
func (d *Doorkeeper) Serve(ctx context.Context, gate, status net.Listener) error {
	var leaving atomic.Bool
	g := grpc.NewServer(grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: patience,
	}))
	auth.RegisterAuthorizationServer(g, d)
	h := &http.Server{Handler: d.statusHandler(&leaving), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- g.Serve(gate) }()
	go func() { failed <- h.Serve(status) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	leaving.Store(true)
	d.log.Info("leaving")
	time.Sleep(notice)
	stopped := make(chan struct{})
	go func() { g.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(patience):
		g.Stop()
	}
	if err := h.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (d *Doorkeeper) statusHandler(leaving *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case leaving.Load():
			http.Error(w, "leaving", http.StatusServiceUnavailable)
		case !d.Ready():
			http.Error(w, "the keys are not read yet", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		d.WriteMetrics(w)
	})
	return mux
}
