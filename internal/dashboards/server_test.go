package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var boards = []Board{{
	Name: "endpoints", Title: "Endpoints & <b>more", Text: "What they do.", Panels: []Panel{
		{Title: "Requests", Unit: "requests/s", Series: []Series{{Expr: "endpoint:requests_per_second", Legend: "{tenant}/{endpoint}"}}},
		{Title: "Nodes", Unit: "count", Empty: "None.", Series: []Series{{Expr: "nodes", Legend: "{node}"}}},
	},
}, {Name: "platform", Title: "Platform", Panels: []Panel{{Title: "P", Unit: "count", Series: []Series{{Expr: "p", Legend: "p"}}}}}}

var uplot = fstest.MapFS{"uPlot.iife.min.js": {Data: []byte("draw()")}, "uPlot.min.css": {Data: []byte("a{}")}}

// fakePrometheus answers queries with lines by their labels.
type fakePrometheus struct {
	mu      sync.Mutex
	asked   []url.Values
	results map[string]string
}

func (f *fakePrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.Query())
	if r.URL.Path != "/api/v1/query_range" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, `{"status":"success","data":{"result":[%s]}}`, f.results[r.URL.Query().Get("query")])
}

func result(labels string, now time.Time, value string) string {
	return fmt.Sprintf(`{"metric":%s,"values":[[%d,%q]]}`, labels, now.Truncate(30*time.Second).Unix(), value)
}

func served(t *testing.T, f *fakePrometheus) *httptest.Server {
	t.Helper()
	p := httptest.NewServer(f)
	t.Cleanup(p.Close)
	return serverOf(t, p.URL)
}

func serverOf(t *testing.T, prometheusURL string) *httptest.Server {
	t.Helper()
	h, err := New(Args{
		Boards: boards, Prometheus: Prometheus{URL: prometheusURL, Client: &http.Client{}}, Currency: "EUR", UPlot: uplot,
		Hosts: []string{"dashboards.dashboards.svc"}, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, s *httptest.Server, path, host string) (code int, body string, h http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	require.NoError(t, err)
	if host != "" {
		r.Host = host
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text), response.Header
}

func view(t *testing.T, s *httptest.Server, path string) View {
	t.Helper()
	code, body, _ := ask(t, s, path, "")
	require.Equal(t, http.StatusOK, code, body)
	var v View
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	return v
}

func TestABoardHasWhatPrometheusSays(t *testing.T) {
	now := time.Now()
	f := &fakePrometheus{results: map[string]string{"endpoint:requests_per_second": result(`{"tenant":"b","endpoint":"iris"}`, now, "2.5") + "," +
		result(`{"tenant":"a","endpoint":"iris"}`, now, "1") + "," + result(`{"tenant":"a","endpoint":"none"}`, now, "NaN")}}
	v := view(t, served(t, f), "/api/boards/endpoints?range=15m")
	assert.Equal(t, "EUR", v.Currency)
	assert.Len(t, v.Times, 31)
	assert.Equal(t, []string{"a", "b"}, v.Tenants)
	require.Len(t, v.Panels, 2)
	require.Len(t, v.Panels[0].Lines, 2, "what is no number at any time is no line")
	assert.Equal(t, "a/iris", v.Panels[0].Lines[0].Label)
	require.Len(t, v.Panels[0].Lines[1].Values, 31)
	values := v.Panels[0].Lines[1].Values
	assert.Nil(t, values[0], "what is not known is not zero")
	last := values[30]
	if last == nil {
		last = values[29] // the minute turned
	}
	require.NotNil(t, last)
	assert.InDelta(t, 2.5, *last, 0)
	assert.Empty(t, v.Panels[1].Lines)
	assert.Equal(t, "None.", v.Panels[1].Empty)
	for _, q := range f.asked {
		assert.Equal(t, "30", q.Get("step"))
	}
}

// What a reader writes chooses; it is never part of a query.
func TestNobodyCanAskForWhatIsOnNoDashboard(t *testing.T) {
	now := time.Now()
	f := &fakePrometheus{results: map[string]string{
		"endpoint:requests_per_second": result(`{"tenant":"a","endpoint":"iris"}`, now, "1") + "," + result(`{"tenant":"b","endpoint":"iris"}`, now, "1"),
		"nodes":                        result(`{"node":"n"}`, now, "1"),
	}}
	s := served(t, f)
	v := view(t, s, "/api/boards/endpoints?tenant=a")
	require.Len(t, v.Panels[0].Lines, 1)
	assert.Equal(t, "a/iris", v.Panels[0].Lines[0].Label)
	assert.Len(t, v.Panels[1].Lines, 1, "what is of no tenant is shown whoever is chosen")
	assert.Equal(t, []string{"a", "b"}, v.Tenants)
	v = view(t, s, "/api/boards/endpoints?"+url.Values{"tenant": {`a"} or up{x="`}, "endpoint": {`or vector(1)`}, "query": {"up"}, "expr": {"up"}}.Encode())
	assert.Empty(t, v.Panels[0].Lines)
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/api/boards/endpoints?range=1y":   {400, `range is "1y": write one of 15m, 1h, 6h, 24h, 7d`},
		"/api/boards/endpoint":             {404, `there is no dashboard "endpoint" (did you mean "endpoints"?): there are endpoints, platform`},
		"/nothing":                         {404, `there is no dashboard "nothing"`},
		"/api/v1/query?query=up":           {404, ""},
		"/static/":                         {404, ""},
		"/uplot/":                          {404, ""},
		"/static/../server.go":             {307, ""},
		"/static/%2e%2e/%2e%2e/etc/passwd": {404, ""},
	} {
		code, body, _ := ask(t, s, path, "")
		if want.code == 307 {
			assert.NotEqual(t, 200, code, path)
			continue
		}
		assert.Equal(t, want.code, code, "%s: %s", path, body)
		assert.Contains(t, body, want.text, path)
	}
	for _, q := range f.asked {
		assert.Contains(t, []string{"endpoint:requests_per_second", "nodes"}, q.Get("query"))
	}
}

func TestManyReadersAreOneQuestion(t *testing.T) {
	f := &fakePrometheus{}
	s := served(t, f)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { view(t, s, fmt.Sprintf("/api/boards/endpoints?range=1h&tenant=%d", i)) })
	}
	all.Wait()
	assert.Len(t, f.asked, 2, "one for each panel")
}

func TestAPlotWithoutAnAnswerSaysWhy(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("query") == "nodes" {
			fmt.Fprint(w, "<html>")
			return
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","error":"too many samples"}`)
	}))
	t.Cleanup(broken.Close)
	v := view(t, serverOf(t, broken.URL), "/api/boards/endpoints")
	assert.Equal(t, "ask Prometheus: too many samples", v.Panels[0].Error)
	assert.Equal(t, "ask Prometheus: 200 OK, and no JSON of a size that is shown", v.Panels[1].Error)
	broken.Close()
	v = view(t, serverOf(t, broken.URL), "/api/boards/endpoints")
	assert.Contains(t, v.Panels[0].Error, "ask Prometheus: dial tcp")
	assert.NotContains(t, v.Panels[0].Error, "query_range")
}

func TestAThicketIsCutAndSaidToBe(t *testing.T) {
	now := time.Now()
	var many []string
	for i := range 100 {
		many = append(many, result(fmt.Sprintf(`{"tenant":"t%d","endpoint":"iris"}`, i), now, "1"))
	}
	f := &fakePrometheus{results: map[string]string{"endpoint:requests_per_second": strings.Join(many, ",")}}
	s := served(t, f)
	v := view(t, s, "/api/boards/endpoints")
	assert.Len(t, v.Panels[0].Lines, shown)
	assert.Equal(t, 100-shown, v.Panels[0].More)
	assert.Len(t, v.Tenants, 100)
	assert.Len(t, view(t, s, "/api/boards/endpoints?tenant=t99").Panels[0].Lines, 1, "what was cut can be chosen")
}

// Its name can be given to this address by anybody, and a browser would let their page
// read everything.
func TestAPageOfSomebodyElsesReadsNothing(t *testing.T) {
	s := served(t, &fakePrometheus{})
	for host, want := range map[string]int{
		"127.0.0.1:8087": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:8087": 200, "dashboards.dashboards.svc:8080": 200, "127.0.0.2": 200,
		"evil.example": 421, "evil.example:8087": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "10.42.0.7:8080": 421, "[::2]:1": 421,
	} {
		code, body, _ := ask(t, s, "/api/boards/endpoints", host)
		assert.Equal(t, want, code, "%s: %s", host, body)
		if want == 421 {
			assert.NotContains(t, body, "Requests")
		}
	}
	for _, path := range []string{"/healthz", "/metrics"} {
		code, _, _ := ask(t, s, path, "10.42.0.7:8080")
		assert.Equal(t, 200, code, "the kubelet and Prometheus ask by the address")
	}
}

func TestThePageLoadsWhatIsServedHereOnly(t *testing.T) {
	s := served(t, &fakePrometheus{})
	code, body, h := ask(t, s, "/", "")
	assert.Equal(t, http.StatusFound, code, body)
	assert.Equal(t, "/endpoints", h.Get("Location"))
	code, body, h = ask(t, s, "/endpoints", "")
	require.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "Endpoints &amp; &lt;b&gt;more")
	assert.Contains(t, body, `href="/platform"`)
	assert.Equal(t, policy, h.Get("Content-Security-Policy"))
	assert.NotContains(t, policy, "unsafe")
	assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	for _, file := range []string{"/static/page.js", "/static/page.css", "/uplot/uPlot.iife.min.js", "/uplot/uPlot.min.css"} {
		assert.Contains(t, body, `"`+file+`"`)
		code, _, _ := ask(t, s, file, "")
		assert.Equal(t, 200, code, file)
	}
	for _, bad := range []string{"style=", "onclick", "<script>", "http:", "https:"} {
		assert.NotContains(t, body, bad)
	}
}

func TestWithoutWhatDrawsItDoesNotBegin(t *testing.T) {
	_, err := New(Args{Boards: boards, UPlot: fstest.MapFS{}})
	require.ErrorContains(t, err, "uPlot: open uPlot.iife.min.js")
	_, err = New(Args{})
	require.Equal(t, errors.New("there are no dashboards"), err)
}
