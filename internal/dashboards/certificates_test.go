package dashboards

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServersAreNamesAndAddresses(t *testing.T) {
	all, err := ParseTLSServers("forge=gitea.forge.svc:3000,argocd=argocd-server.argocd.svc:443")
	require.NoError(t, err)
	assert.Equal(t, []TLSServer{{"forge", "gitea.forge.svc:3000"}, {"argocd", "argocd-server.argocd.svc:443"}}, all)
	all, err = ParseTLSServers("")
	require.NoError(t, err)
	assert.Empty(t, all)
	for _, bad := range []string{"forge", "=a:1", "forge=a", "forge=:1", "forge=a:1,b"} {
		_, err := ParseTLSServers(bad)
		require.ErrorContains(t, err, "is no NAME=HOST:PORT", bad)
	}
}

func metricsOf(t *testing.T, c *Certificates) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	return string(body)
}

func TestACertificateEndsWhenItSays(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	c := NewCertificates([]TLSServer{{"forge", at(s)}, {"plain", at(plain)}}, slog.New(slog.DiscardHandler))
	assert.NotContains(t, metricsOf(t, c), "neuroscale", "before it has asked it knows nothing")
	c.ask(t.Context())
	text := metricsOf(t, c)
	var ends float64
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, `neuroscale_certificate_ends_seconds{server="forge"} `); ok {
			var err error
			ends, err = strconv.ParseFloat(strings.TrimSpace(rest), 64)
			require.NoError(t, err)
		}
	}
	assert.EqualValues(t, s.Certificate().NotAfter.Unix(), ends)
	assert.Contains(t, text, `neuroscale_certificate_shown{server="forge"} 1`)
	assert.Contains(t, text, `neuroscale_certificate_shown{server="plain"} 0`)
	assert.NotContains(t, text, `ends_seconds{server="plain"}`, "one that is not shown does not end in 1970")
	s.Close()
	c.ask(t.Context())
	assert.Contains(t, metricsOf(t, c), `neuroscale_certificate_shown{server="forge"} 0`)
}
