package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pair writes a certificate and its key below dir.
func pair(t *testing.T, dir, name string, template x509.Certificate) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, template.Subject, template.BasicConstraintsValid = big.NewInt(1), pkix.Name{CommonName: name}, true
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	require.NoError(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	certificate, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	require.NoError(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), 0o600))
	return certificate, key
}

func TestAnAuthorityThatCannotSignIsRefusedWithTheFieldAndTheFix(t *testing.T) {
	dir := t.TempDir()
	day := func(year int) time.Time { return time.Date(year, 3, 4, 0, 0, 0, 0, time.UTC) }
	good, goodKey := pair(t, dir, "good", x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	_, otherKey := pair(t, dir, "other", x509.Certificate{IsCA: true})
	leaf, leafKey := pair(t, dir, "leaf", x509.Certificate{})
	old, oldKey := pair(t, dir, "old", x509.Certificate{IsCA: true, NotBefore: day(2019), NotAfter: day(2020)})
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))

	c, err := Load(map[string]string{"neuroscale:tls": fmt.Sprintf(`{"authority":{"certificate":%q,"key":%q}}`, good, goodKey)})
	require.NoError(t, err)
	assert.Equal(t, KeyPair{good, goodKey}, c.TLS.Authority)
	const at = "neuroscale:tls.authority."
	for name, test := range map[string]struct{ certificate, key, want string }{
		"no key":           {good, "", at + `key is "": write the path of a file in PEM form, beginning with /; certificate and key, or neither`},
		"a relative path":  {"ca.crt", goodKey, at + `certificate is "ca.crt": write the path of a file in PEM form, beginning with /; certificate and key, or neither`},
		"no file":          {good + "x", goodKey, at + fmt.Sprintf("certificate is %q: write the path of a file that can be read (no such file or directory)", good+"x")},
		"no key's file":    {good, goodKey + "x", at + fmt.Sprintf("key is %q: write the path of a file that can be read (no such file or directory)", goodKey+"x")},
		"no certificate":   {text, goodKey, at + fmt.Sprintf("certificate is %q: write the path of a file with a certificate in PEM form", text)},
		"another's key":    {good, otherKey, at + fmt.Sprintf("key is %q: write the path of a file with the key of that certificate, in PEM form and without a passphrase", otherKey)},
		"one that ended":   {old, oldKey, at + fmt.Sprintf("certificate is %q: write the path of a certificate that is valid now: this one is from 2019-03-04 until 2020-03-04", old)},
		"one of no signer": {leaf, leafKey, at + fmt.Sprintf("certificate is %q: write the path of a certificate that may sign others: that of CN=leaf may not", leaf)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(map[string]string{"neuroscale:tls": fmt.Sprintf(`{"authority":{"certificate":%q,"key":%q}}`, test.certificate, test.key)})
			require.EqualError(t, err, test.want)
		})
	}
}

func TestEveryProblemOfTLSNamesItsField(t *testing.T) {
	for value, want := range map[string]string{
		`{"validity":"1h"}`:                         `neuroscale:tls.validity is "1h": write whole hours from 2h to 17500h`,
		`{"validity":"90m","renewBefore":"1h"}`:     `neuroscale:tls.validity is "1h30m": write whole hours from 2h to 17500h`,
		`{"renewBefore":"8760h"}`:                   `neuroscale:tls.renewBefore is "365d": write whole hours from 1h to 8759h`,
		`{"names":["https://forge.example.org"]}`:   `neuroscale:tls.names[0] is "https://forge.example.org": write a host name or an IP address, without scheme or port`,
		`{"names":["a.example.org","10.0.0.1:80"]}`: `neuroscale:tls.names[1] is "10.0.0.1:80": write a host name or an IP address, without scheme or port`,
		`{"http":["gatway"]}`:                       `neuroscale:tls.http[0] is "gatway": write argocd or forge or gateway`,
	} {
		_, err := Load(map[string]string{"neuroscale:tls": value})
		require.ErrorContains(t, err, want)
	}
	c, err := Load(map[string]string{"neuroscale:tls": `{"names":["*.example.org","fd00::1"],"http":["gateway"]}`})
	require.NoError(t, err)
	assert.Equal(t, "http", c.TLS.Scheme(ServerGateway))
	assert.Equal(t, "https", c.TLS.Scheme(ServerForge))
}
