package keypair

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/keypair/keypairtest"
)

func TestARenewedCertificateIsShownWithoutANewProcess(t *testing.T) {
	dir := t.TempDir()
	keypairtest.Write(t, dir, 1)
	c, err := LoadServed(dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	serial := func() int64 {
		shown, err := c.Get(nil)
		require.NoError(t, err)
		return shown.Leaf.SerialNumber.Int64()
	}
	later := func() { c.looked = c.looked.Add(-lookAgain) }
	assert.EqualValues(t, 1, serial())

	keypairtest.Write(t, dir, 2)
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
