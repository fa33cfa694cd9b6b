package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// serversAreClosed looks at all that the platform opens to the network.
func (s *suite) serversAreClosed(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	servers := map[string]string{"gateway": s.outputs.GatewayURL, "argocd": s.outputs.ArgoCDURL, "forge": s.outputs.ForgeURL, "portal": s.outputs.PortalURL}
	t.Run("it is open at these ports only", func(t *testing.T) { s.portsAreThese(ctx, t, servers) })
	for name, address := range servers {
		t.Run(name+" shows a certificate and says nothing in clear text", func(t *testing.T) { s.speaksTLSOnly(ctx, t, address) })
	}
	t.Run("the gateway asks for a key over TLS, whoever one says one is", func(t *testing.T) { s.tlsIsNoWayRound(ctx, t) })
	t.Run("the forge slows down who guesses, at every door", func(t *testing.T) { s.guessesAreSlow(ctx, t) })
}

func (s *suite) portsAreThese(ctx context.Context, t *testing.T, servers map[string]string) {
	var wanted, open []string
	for _, address := range servers {
		wanted = append(wanted, portOf(t, address))
	}
	services, err := s.cluster.List(ctx, schema.GroupVersionResource{Version: "v1", Resource: "services"}, "")
	require.NoError(t, err)
	for _, service := range services {
		ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
		for _, port := range ports {
			if number, there := port.(map[string]any)["nodePort"]; there {
				open = append(open, fmt.Sprint(number))
			}
		}
	}
	assert.ElementsMatch(t, wanted, open)
}

func (s *suite) speaksTLSOnly(ctx context.Context, t *testing.T, address string) {
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.Equal(t, "https", u.Scheme)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(s.outputs.Authority)))
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool}}).DialContext(ctx, "tcp", u.Host)
	require.NoError(t, err)
	shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	require.NoError(t, conn.Close())
	assert.NoError(t, shown.VerifyHostname("127.0.0.1"), "a forward could not be verified")
	assert.Greater(t, time.Until(shown.NotAfter), 24*time.Hour)

	_, err = (&tls.Dialer{Config: &tls.Config{RootCAs: x509.NewCertPool()}}).DialContext(ctx, "tcp", u.Host)
	require.ErrorAs(t, err, &x509.UnknownAuthorityError{})
	_, err = (&tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}).DialContext(ctx, "tcp", u.Host)
	require.Error(t, err, "it speaks an old TLS")

	u.Scheme = "http"
	plain := rig.Direct("")
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	require.NoError(t, err)
	answer, err := plain.Do(request)
	if err == nil {
		answer.Body.Close()
		assert.GreaterOrEqual(t, answer.StatusCode, 300, "it serves in clear text")
	}
}

// tlsIsNoWayRound asks with what Knative's own probes say, and as from inside.
func (s *suite) tlsIsNoWayRound(ctx context.Context, t *testing.T) {
	host := s.hostOf(t, example)
	client := rig.Direct(s.outputs.Authority)
	for name, headers := range map[string]map[string]string{
		"no key":                   {},
		"a probe":                  {"K-Network-Probe": "probe", "K-Network-Hash": "override"},
		"a pod's address":          {"X-Forwarded-For": "10.42.0.5", "X-Envoy-External-Address": "10.42.0.5"},
		"a request that is inside": {"X-Envoy-Internal": "true"},
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.outputs.GatewayURL+"/v1/models/"+example+":predict", strings.NewReader(instances))
		require.NoError(t, err)
		request.Host = host
		request.Header.Set("Content-Type", "application/json")
		for header, value := range headers {
			request.Header.Set(header, value)
		}
		answer, err := client.Do(request)
		require.NoError(t, err, name)
		answer.Body.Close()
		assert.Equal(t, http.StatusUnauthorized, answer.StatusCode, name)
	}
}

// guessesAreSlow tries a hundred passwords at each door, each for an account of its
// own, while somebody else works.
func (s *suite) guessesAreSlow(ctx context.Context, t *testing.T) {
	client := rig.Direct(s.outputs.Authority)
	for door, try := range map[string]func(account, password string) *http.Request{
		"form": func(account, password string) *http.Request {
			body := url.Values{"user_name": {account}, "password": {password}}.Encode()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.outputs.ForgeURL+"/user/login", strings.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
		"api": func(account, password string) *http.Request {
			return s.basic(ctx, t, "/api/v1/user", account, password)
		},
		"git": func(account, password string) *http.Request {
			return s.basic(ctx, t, strings.TrimPrefix(s.outputs.Repository, s.outputs.ForgeURL)+"/info/refs?service=git-receive-pack", account, password)
		},
	} {
		codes := map[int]int{}
		for i := range 100 {
			answer, err := client.Do(try("nobody-"+door, fmt.Sprint("wrong", i)))
			require.NoError(t, err)
			answer.Body.Close()
			codes[answer.StatusCode]++
			if answer.StatusCode == http.StatusTooManyRequests {
				assert.NotEmpty(t, answer.Header.Get("Retry-After"), door)
			}
		}
		assert.GreaterOrEqual(t, codes[http.StatusTooManyRequests], 80, "%s: %v", door, codes)
		assert.Len(t, codes, 2, "%s: %v", door, codes)
	}
	_, err := s.clone(ctx, t, s.outputs.Repository, s.member(t, scientist)).Git(ctx, "ls-remote", "origin")
	require.NoError(t, err, "somebody else is slowed down")
}

func (s *suite) basic(ctx context.Context, t *testing.T, at, account, password string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.outputs.ForgeURL+at, nil)
	require.NoError(t, err)
	r.SetBasicAuth(account, password)
	return r
}
