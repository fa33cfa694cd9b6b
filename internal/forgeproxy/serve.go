package forgeproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/keypair"
)

// goodbye is how long requests may take that are here when the process has to end.
// A push that is longer is begun again by who sent it.
const goodbye = 3 * time.Second

// Serve answers until ctx ends: over TLS, or without a certificate over HTTP.
func (p *Proxy) Serve(ctx context.Context, l net.Listener, c *keypair.Served) error {
	// Over HTTP/2 the curl library of Debian 12 and of its age now and then mixes up what
	// Git sends (curl 11342), and a push fails or waits for ever.
	only := new(http.Protocols)
	only.SetHTTP1(true)
	s := &http.Server{
		Handler: p, Protocols: only, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if c == nil {
			failed <- s.Serve(l)
			return
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get}
		failed <- s.ServeTLS(l, "", "")
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := s.Shutdown(end); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}
