package forgeproxy

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/keypair/keypairtest"
)

// overTLS is the address of a proxy that shows a certificate, until the test ends.
func overTLS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	keypairtest.Write(t, dir, 1)
	log := slog.New(slog.DiscardHandler)
	c, err := keypair.LoadServed(dir, log)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, browsers, NewThrottle(failures, window), "guard", log).Serve(ctx, l, c)
	}()
	t.Cleanup(func() { end(); require.NoError(t, <-ended) })
	return l.Addr().String()
}

func TestNothingIsAnsweredInClearText(t *testing.T) {
	address := overTLS(t)
	plain, err := http.Get("http://" + address)
	require.NoError(t, err)
	_ = plain.Body.Close()
	assert.Equal(t, http.StatusBadRequest, plain.StatusCode, "a password could be sent in clear text and be answered")
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // looked at, not trusted
	require.NoError(t, err)
	assert.EqualValues(t, 1, conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64())
	_ = conn.Close()
}

// A push over HTTP/2 arrives damaged when a curl library of Debian 12 sends it.
func TestGitIsNeverOfferedHTTP2(t *testing.T) {
	address := overTLS(t)
	offer := func(protocols ...string) (string, error) {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) // looked at, not trusted
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.ConnectionState().NegotiatedProtocol, nil
	}
	taken, err := offer("h2", "http/1.1")
	require.NoError(t, err)
	assert.Equal(t, "http/1.1", taken)
	_, err = offer("h2")
	require.ErrorContains(t, err, "no application protocol")
}
