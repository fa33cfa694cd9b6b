package forgeproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/keypair"
)

// write puts a self-signed certificate with that serial number into dir.
func write(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

func TestNothingIsAnsweredInClearText(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 1)
	log := slog.New(slog.DiscardHandler)
	c, err := keypair.LoadServed(dir, log)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, NewThrottle(failures, window), "guard", log).Serve(ctx, l, c)
	}()
	plain, err := http.Get("http://" + l.Addr().String())
	require.NoError(t, err)
	_ = plain.Body.Close()
	assert.Equal(t, http.StatusBadRequest, plain.StatusCode, "a password could be sent in clear text and be answered")
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true}) // looked at, not trusted
	require.NoError(t, err)
	assert.EqualValues(t, 1, conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64())
	_ = conn.Close()
	end()
	require.NoError(t, <-ended)
}

// A push over HTTP/2 arrives damaged when a curl library of Debian 12 sends it.
func TestGitIsNeverOfferedHTTP2(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 1)
	log := slog.New(slog.DiscardHandler)
	c, err := keypair.LoadServed(dir, log)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, NewThrottle(failures, window), "guard", log).Serve(ctx, l, c)
	}()
	for want, offered := range map[string][]string{"http/1.1": {"h2", "http/1.1"}, "": {"h2"}} {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: offered}) // looked at, not trusted
		if want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, want, conn.ConnectionState().NegotiatedProtocol)
		_ = conn.Close()
	}
	end()
	require.NoError(t, <-ended)
}
