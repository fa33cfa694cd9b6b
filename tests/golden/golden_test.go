package golden

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAServerThatTheAuthorityDidNotSignIsNotTrusted(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	own := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	fingerprint, err := shown(t.Context(), server.URL, own)
	require.NoError(t, err)
	assert.Len(t, fingerprint, 44)
	_, err = shown(t.Context(), server.URL, "")
	require.ErrorContains(t, err, "no certificate in PEM form")
	another := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: anothers(t)}))
	_, err = shown(t.Context(), server.URL, another)
	require.ErrorContains(t, err, "unknown authority")
}

// anothers is the certificate of an authority that signed nothing.
func anothers(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return der
}

func TestWithoutABrowserItIsSaidWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), "", "")
	require.ErrorContains(t, err, "install chromium")
}
