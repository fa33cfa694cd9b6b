package doorkeeper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

const publicPort = 8080

// asked is what the gateway says of a request.
func asked(route, namespace string, port uint32, from string, headers map[string]string) *auth.CheckRequest {
	peer := func(address string, port uint32) *auth.AttributeContext_Peer {
		return &auth.AttributeContext_Peer{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
		}}}}
	}
	labels := map[string]string{"client": "kourier", "visibility": "ExternalIP"}
	if route != "" {
		labels[routeLabel], labels[routeNamespaceLabel] = route, namespace
	}
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source: peer(from, 40000), Destination: peer("10.42.0.9", port), ContextExtensions: labels,
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Host: "iris-predictor.a.example", Method: "POST", Headers: headers,
		}},
	}}
}

// open is a doorkeeper that knows these keys, and nobody's pods.
func open(t testing.TB, log io.Writer, list ...keys.Key) *Doorkeeper {
	t.Helper()
	d := New(slog.New(slog.NewTextHandler(log, nil)), "keys")
	s := keys.Store{}
	for _, k := range list {
		s[k.ID] = k
	}
	d.Put("keys", s, 0)
	return d
}

func bearer(token string) map[string]string {
	return map[string]string{"authorization": "Bearer " + token, "content-type": "application/json"}
}

// answer is the HTTP status that a verdict makes, and the headers and body of a
// refusal.
func answer(t testing.TB, d *Doorkeeper, r *auth.CheckRequest) (code int, headers map[string]string, body string) {
	t.Helper()
	response, err := d.Check(t.Context(), r)
	require.NoError(t, err)
	if response.GetStatus().GetCode() == int32(codes.OK) {
		require.NotNil(t, response.GetOkResponse())
		return http.StatusOK, nil, ""
	}
	denied := response.GetDeniedResponse()
	headers = map[string]string{}
	for _, h := range denied.GetHeaders() {
		headers[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	return int(denied.GetStatus().GetCode()), headers, denied.GetBody()
}

func TestWhoGetsIn(t *testing.T) {
	now := time.Now()
	k, token := keys.New(keys.Key{Tenant: "a", Endpoints: []string{"iris"}}, now)
	old, oldToken := keys.New(keys.Key{Tenant: "a", Expires: now.Add(-time.Minute)}, now)
	log := &bytes.Buffer{}
	d := open(t, log, k, old)
	d.inside.set("a", "1", []string{"10.42.0.5"})
	d.inside.set("b", "2", []string{"10.42.0.6"})
	probe := map[string]string{"k-network-probe": "probe", "k-network-hash": "override", "user-agent": "Knative-Ingress-Probe"}
	for name, test := range map[string]struct {
		request *auth.CheckRequest
		want    int
	}{
		"a key":                                   {asked("iris-predictor", "a", publicPort, "", bearer(token)), 200},
		"a key in the other header":               {asked("iris-predictor", "a", publicPort, "", map[string]string{"x-api-key": token}), 200},
		"a key beside a password of the model's":  {asked("iris-predictor", "a", publicPort, "", map[string]string{"x-api-key": token, "authorization": "Basic eA=="}), 200},
		"a key in small letters' scheme":          {asked("iris-predictor", "a", publicPort, "", map[string]string{"authorization": "bearer  " + token}), 200},
		"the endpoint's transformer":              {asked("iris-transformer", "a", publicPort, "", bearer(token)), 200},
		"no key":                                  {asked("iris-predictor", "a", publicPort, "", nil), 401},
		"a model's own password":                  {asked("iris-predictor", "a", publicPort, "", map[string]string{"authorization": "Basic eA=="}), 401},
		"two keys in one header":                  {asked("iris-predictor", "a", publicPort, "", map[string]string{"x-api-key": token + "," + token}), 401},
		"a wrong key before the right one":        {asked("iris-predictor", "a", publicPort, "", map[string]string{"x-api-key": "nsk_x", "authorization": "Bearer " + token}), 401},
		"a key with another scheme":               {asked("iris-predictor", "a", publicPort, "", map[string]string{"authorization": "Basic " + token}), 401},
		"an expired key":                          {asked("iris-predictor", "a", publicPort, "", bearer(oldToken)), 401},
		"another endpoint":                        {asked("rose-predictor", "a", publicPort, "", bearer(token)), 403},
		"another tenant's":                        {asked("iris-predictor", "b", publicPort, "", bearer(token)), 403},
		"no endpoint":                             {asked("", "", publicPort, "", bearer(token)), 403},
		"a transformer, inside":                   {asked("iris-predictor", "a", 8081, "10.42.0.5", nil), 200},
		"a transformer, inside, TLS":              {asked("iris-predictor", "a", 8444, "10.42.0.5", nil), 200},
		"another tenant's pod, inside":            {asked("iris-predictor", "a", 8081, "10.42.0.6", nil), 401},
		"another tenant's pod with a key, inside": {asked("iris-predictor", "a", 8081, "10.42.0.6", bearer(token)), 200},
		"nobody's pod, inside":                    {asked("iris-predictor", "a", 8081, "10.42.0.7", nil), 401},
		"no address, inside":                      {asked("iris-predictor", "a", 8081, "", nil), 401},
		"its own pod, from outside":               {asked("iris-predictor", "a", publicPort, "10.42.0.5", nil), 401},
		"its own pod says it is inside":           {asked("iris-predictor", "a", publicPort, "1.2.3.4", map[string]string{"x-forwarded-for": "10.42.0.5"}), 401},
		"Knative's probe":                         {asked("iris-predictor", "a", 8090, "", probe), 200},
		"Knative's probe, inside":                 {asked("iris-predictor", "a", 8081, "", probe), 200},
		"a probe from outside":                    {asked("iris-predictor", "a", publicPort, "", probe), 401},
		"half a probe": {asked("iris-predictor", "a", 8081, "", map[string]string{
			"k-network-probe": "probe"}), 401},
		"a probe's header twice": {asked("iris-predictor", "a", 8081, "", map[string]string{
			"k-network-probe": "x,probe", "k-network-hash": "override"}), 401},
	} {
		t.Run(name, func(t *testing.T) {
			code, headers, body := answer(t, d, test.request)
			assert.Equal(t, test.want, code, body)
			if code != http.StatusOK {
				assert.Equal(t, "application/json", headers["content-type"])
				assert.Regexp(t, `^\{"error":"[^"]+\."\}\n$`, body)
				assert.Equal(t, code == 401, headers["www-authenticate"] != "")
			}
		})
	}
	assert.Contains(t, log.String(), "outcome=foreign key="+k.ID)
	for _, secret := range []string{token, oldToken} {
		assert.NotContains(t, log.String(), secret[len(secret)-32:], "a log is no place for a key")
	}
}

func TestTheModelNeverSeesTheKey(t *testing.T) {
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	d := open(t, io.Discard, k)
	d.inside.set("a", "1", []string{"10.42.0.5"})
	for name, test := range map[string]struct {
		headers map[string]string
		port    uint32
		want    []string
	}{
		"bearer":                {bearer(token), publicPort, []string{"authorization"}},
		"the other header":      {map[string]string{"x-api-key": token, "authorization": "Basic eA=="}, publicPort, []string{"x-api-key"}},
		"both":                  {map[string]string{"x-api-key": token, "authorization": "Bearer " + token}, publicPort, []string{"authorization", "x-api-key"}},
		"where none was needed": {bearer(token), 8081, []string{"authorization"}},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := d.Check(t.Context(), asked("iris-predictor", "a", test.port, "10.42.0.5", test.headers))
			require.NoError(t, err)
			assert.Equal(t, test.want, response.GetOkResponse().GetHeadersToRemove())
		})
	}
}

func TestAKeyMayAskAsOftenAsItSays(t *testing.T) {
	k, token := keys.New(keys.Key{Tenant: "a", RequestsPerMinute: 5}, time.Now())
	free, freeToken := keys.New(keys.Key{Tenant: "a"}, time.Now())
	d := open(t, io.Discard, k, free)
	now := time.Now()
	d.now = func() time.Time { return now }
	for range 5 {
		code, _, _ := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
		require.Equal(t, 200, code)
	}
	for range 3 {
		code, headers, body := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
		assert.Equal(t, 429, code)
		assert.Equal(t, "12", headers["retry-after"], "a refused request costs nothing")
		assert.Contains(t, body, "may ask 5 times a minute: try again in 12 s")
	}
	code, _, _ := answer(t, d, asked("iris-predictor", "b", publicPort, "", bearer(token)))
	assert.Equal(t, 403, code, "what it may not ask is not counted")
	now = now.Add(12 * time.Second)
	code, _, _ = answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
	assert.Equal(t, 200, code, "after Retry-After it is let in")
	for range 20 {
		code, _, _ := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(freeToken)))
		require.Equal(t, 200, code, "another key's requests count for themselves")
	}
	k.RequestsPerMinute = 50
	d.Put("keys", keys.Store{k.ID: k}, 0)
	code, _, _ = answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
	assert.Equal(t, 200, code, "a new limit holds at once")
	assert.Len(t, d.limits.buckets, 1, "buckets of revoked keys are forgotten")
}

func TestNobodyIsJudgedByHalfOfTheKeys(t *testing.T) {
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	d := New(slog.New(slog.DiscardHandler), "keys", "platform-keys")
	d.Put("keys", keys.Store{k.ID: k}, 0)
	_, err := d.Check(t.Context(), asked("iris-predictor", "a", publicPort, "", bearer(token)))
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.False(t, d.Ready())
	d.Put("platform-keys", keys.Store{}, 0)
	code, _, _ := answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
	assert.Equal(t, 200, code)
}

func TestMetricsSayWhoAskedWhat(t *testing.T) {
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	d := open(t, io.Discard, k)
	for range 3 {
		answer(t, d, asked("iris-predictor", "a", publicPort, "", bearer(token)))
	}
	answer(t, d, asked("iris-predictor", "a", publicPort, "", nil))
	out := &bytes.Buffer{}
	d.WriteMetrics(out)
	assert.Contains(t, out.String(), fmt.Sprintf("neuroscale_requests_total{key=%q,namespace=\"a\",endpoint=\"iris\",outcome=\"allowed\"} 3\n", k.ID))
	assert.Contains(t, out.String(), "neuroscale_requests_total{key=\"\",namespace=\"a\",endpoint=\"iris\",outcome=\"missing\"} 1\n")
	assert.Contains(t, out.String(), "neuroscale_judgement_seconds_count 4\n")
	assert.Contains(t, out.String(), "neuroscale_keys 1\n")
	for i := range 2 * maxSeries {
		d.metrics.count(series{key: fmt.Sprint(i), outcome: keys.Allowed}, 0)
	}
	assert.LessOrEqual(t, len(d.metrics.requests), maxSeries+1, "memory has an end")
}

// serve is a running doorkeeper; end tells it to leave and waits.
func serve(t testing.TB, d *Doorkeeper) (client auth.AuthorizationClient, statusURL string, end func()) {
	t.Helper()
	gate, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	state, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, gate, state) }()
	end = sync.OnceFunc(func() { cancel(); assert.NoError(t, <-ended) })
	t.Cleanup(end)
	conn, err := grpc.NewClient(gate.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return auth.NewAuthorizationClient(conn), "http://" + state.Addr().String(), end
}

func fetch(t testing.TB, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestItLeavesWithoutCuttingAnybodyOff(t *testing.T) {
	k, token := keys.New(keys.Key{Tenant: "a"}, time.Now())
	d := open(t, io.Discard, k)
	client, state, end := serve(t, d)
	code, _ := fetch(t, state+"/readyz")
	require.Equal(t, 200, code)
	leaving := make(chan struct{})
	go func() { defer close(leaving); end() }()
	// From here it is not ready, and answers all the same.
	require.Eventually(t, func() bool { code, _ := fetch(t, state+"/readyz"); return code == 503 }, time.Second, 5*time.Millisecond)
	for stop := time.Now().Add(notice / 2); time.Now().Before(stop); {
		response, err := client.Check(t.Context(), asked("iris-predictor", "a", publicPort, "", bearer(token)))
		require.NoError(t, err)
		require.NotNil(t, response.GetOkResponse())
	}
	code, _ = fetch(t, state+"/healthz")
	assert.Equal(t, 200, code)
	<-leaving
}

func TestItIsNotReadyBeforeItKnowsTheKeys(t *testing.T) {
	_, state, _ := serve(t, New(slog.New(slog.DiscardHandler), "keys"))
	code, body := fetch(t, state+"/readyz")
	assert.Equal(t, 503, code)
	assert.Contains(t, body, "not read yet")
	code, body = fetch(t, state+"/metrics")
	assert.Equal(t, 200, code)
	assert.Contains(t, body, "# TYPE neuroscale_requests_total counter")
}

// What the gateway waits for, over loopback: the figure in the README's budget of
// 1 ms has Envoy's own part beside it.
func BenchmarkCheckOverLoopback(b *testing.B) {
	var list []keys.Key
	var token string
	for range 1000 {
		k, text := keys.New(keys.Key{Tenant: "a", RequestsPerMinute: 1 << 30}, time.Now())
		list, token = append(list, k), text
	}
	d := open(b, io.Discard, list...)
	client, _, end := serve(b, d)
	request := asked("iris-predictor", "a", publicPort, "10.0.0.1", bearer(token))
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		response, err := client.Check(b.Context(), request)
		took = append(took, time.Since(start))
		if err != nil || response.GetOkResponse() == nil {
			b.Fatal(response, err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	end()
}

func TestEndpointsAreKnownByTheirRoutes(t *testing.T) {
	for route, want := range map[string]string{
		"iris-predictor": "iris", "iris-transformer": "iris", "iris-explainer": "iris",
		"iris-predictor-predictor": "iris-predictor", "iris": "iris", "-predictor": "-predictor", "": "",
	} {
		assert.Equal(t, want, endpoint(route), strings.TrimSpace(route))
	}
}
