package keypair

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// write puts a self-signed certificate with that serial number into dir.
func write(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

func TestARenewedCertificateIsShownWithoutANewProcess(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 1)
	c, err := LoadServed(dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	serial := func() int64 {
		shown, err := c.Get(nil)
		require.NoError(t, err)
		return shown.Leaf.SerialNumber.Int64()
	}
	later := func() { c.looked = c.looked.Add(-lookAgain) }
	assert.EqualValues(t, 1, serial())

	write(t, dir, 2)
	later()
	assert.EqualValues(t, 2, serial())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), []byte("half"), 0o600))
	later()
	assert.EqualValues(t, 2, serial(), "files that do not fit together end the service")
}

func TestWithoutACertificateItDoesNotStart(t *testing.T) {
	_, err := LoadServed(t.TempDir(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "read the certificate")
}
