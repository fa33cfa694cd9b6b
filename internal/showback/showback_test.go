package showback

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// server answers as OpenCost and Prometheus do. Its clients go there whatever host
// is asked.
type server struct {
	*httptest.Server
	queries []url.Values
}

func (s *server) Do(r *http.Request) (*http.Response, error) {
	r.URL.Host = strings.TrimPrefix(s.URL, "http://")
	return s.Client().Do(r)
}

func serve(t *testing.T, answers map[string]string) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.queries = append(s.queries, r.URL.Query())
		for path, answer := range answers {
			if path == r.URL.Path || path == r.URL.Path+" "+r.URL.Query().Get("query") {
				if code, body, ok := strings.Cut(answer, "|"); ok {
					status, _ := strconv.Atoi(code)
					w.WriteHeader(status)
					answer = body
				}
				fmt.Fprint(w, answer)
				return
			}
		}
		fmt.Fprint(w, `{"status":"success","data":{"result":[{"value":[0,"1"]}]}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// As OpenCost 1.108 answered on a sealed node, but for the figures.
const (
	summary = `{"code":200,"data":{"step":600000000000,"sets":[{"allocations":{
	 "default/data-science/ml-demo/demo-iris-2/deployment:demo-iris-2-predictor-00001-deployment/demo-iris-2-predictor-00001-deployment-abc":
	   {"name":"x","start":"2026-11-25T11:50:00Z","end":"2026-11-25T12:00:00Z","cpuCost":0.000526850,"gpuCost":0,"networkCost":0,"loadBalancerCost":0,"pvCost":0,"ramCost":0.000088271,"totalCost":0.000615121},
	 "default/platform-team/platform/__unallocated__/deployment:nginx-test/nginx-test-abc":
	   {"name":"y","start":"2026-11-25T11:55:00Z","cpuCost":0.0001,"ramCost":null,"pvCost":0.00005},
	 "team-b/__unallocated__/__unallocated__/__unallocated__/__unallocated__/lonely":
	   {"name":"z","start":"2026-11-25T11:58:00Z","cpuCost":0.00003,"ramCost":0.00001},
	 "opencost/__unallocated__/__unallocated__/__unallocated__/deployment:opencost/opencost-abc":
	   {"name":"o","start":"2026-11-25T11:50:00Z","cpuCost":0.0002,"ramCost":0.0003},
	 "__unmounted__/__unmounted__/__unmounted__/__unmounted__/__unmounted__/__unmounted__":
	   {"name":"u","start":"2026-11-25T11:50:00Z","pvCost":0.00002}
	}}]}}`
	idleAnswer = `{"code":200,"data":[{"__idle__":{"cpuCost":0.004,"ramCost":0.006},"neuroscale":{"cpuCost":1,"ramCost":1}}]}`
)

func answers() map[string]string {
	return map[string]string{"/allocation/summary": summary, "/allocation": idleAnswer}
}

func report(t *testing.T, by By) *Report {
	t.Helper()
	s := serve(t, answers())
	r, err := Ask(t.Context(), OpenCost{Client: s, Prometheus: s, Interval: 30 * time.Second}, noon.Add(-10*time.Minute), noon, Settings{
		By: by, Currency: "USD", HoursPerMonth: 730, Tenants: []string{"default", "team-b"},
	})
	require.NoError(t, err)
	return r
}

func TestCostsAreAddedUpByWhatIsAskedFor(t *testing.T) {
	for by, want := range map[By]map[string]float64{
		ByOwner:      {"data-science": 0.000615121, "platform-team": 0.00015, Unattributed: 0.00004},
		ByCostCenter: {"ml-demo": 0.000615121, "platform": 0.00015, Unattributed: 0.00004},
		ByTenant:     {"default": 0.000765121, "team-b": 0.00004},
		ByEndpoint:   {"default/demo-iris-2": 0.000615121, "default/deployment:nginx-test": 0.00015, "team-b/pod:lonely": 0.00004},
	} {
		r := report(t, by)
		got := map[string]float64{}
		for _, row := range r.Rows {
			got[row.Name] = row.Cost
		}
		require.Len(t, got, len(want), by)
		for name, cost := range want {
			assert.InDelta(t, cost, got[name], 1e-12, "%s %s", by, name)
		}
		assert.InDelta(t, 0.000805121, r.Tenants.Cost, 1e-12, "what names nobody is in the sum")
		assert.InDelta(t, 0.00052, r.Platform.Cost, 1e-12, "volumes that nobody has are the platform's")
		assert.InDelta(t, 0.01, r.Idle.Cost, 1e-12)
		assert.InDelta(t, r.Tenants.Cost+r.Platform.Cost+r.Idle.Cost, r.Total.Cost, 1e-12)
	}
}

func TestTheDearestIsFirst(t *testing.T) {
	r := report(t, ByOwner)
	assert.Equal(t, "data-science", r.Rows[0].Name)
	assert.Equal(t, Unattributed, r.Rows[2].Name)
}

func TestAMonthIsForetoldAtThePresentRate(t *testing.T) {
	r := report(t, ByTenant)
	assert.Equal(t, noon.Add(-10*time.Minute), r.Start)
	assert.InDelta(t, 0.000765121*6*730, r.Rows[0].Monthly, 1e-9)
	assert.InDelta(t, 0.00004*30*730, r.Rows[1].Monthly, 1e-9, "it began two minutes ago")
	assert.InDelta(t, (r.Platform.Cost+r.Idle.Cost)*6*730, r.Platform.Monthly+r.Idle.Monthly, 1e-9)
	assert.InDelta(t, r.Rows[0].Monthly+r.Rows[1].Monthly+r.Platform.Monthly+r.Idle.Monthly, r.Total.Monthly, 1e-9)
}

func TestTheRateIsThatOfTheLastHourAndNotOfTheWindow(t *testing.T) {
	day := Usage{Start: noon.Add(-24 * time.Hour), End: noon, Uses: []Use{
		{Namespace: "default", Owner: "gone", Money: Money{CPU: 24}},
	}}
	hour := Usage{Start: noon.Add(-time.Hour), End: noon, Uses: []Use{
		{Namespace: "default", Owner: "new", Money: Money{CPU: 2}, Start: noon.Add(-30 * time.Minute)},
		{Namespace: "default", Owner: "steady", Money: Money{CPU: 1}, Start: noon.Add(-time.Hour)},
		{Namespace: "default", Owner: "steady", Money: Money{CPU: 1}, Start: noon.Add(-time.Minute)},
	}}
	r := New(day, hour, Settings{By: ByOwner, HoursPerMonth: 730, Tenants: []string{"default"}})
	require.Len(t, r.Rows, 3)
	assert.Equal(t, []float64{24, 0}, []float64{r.Rows[0].Cost, r.Rows[0].Monthly}, "what is gone costs nothing more")
	assert.Equal(t, []float64{0, 2920}, []float64{r.Rows[1].Cost, r.Rows[1].Monthly}, "what began half an hour ago has no hour behind it")
	assert.Equal(t, []float64{0, 1460}, []float64{r.Rows[2].Cost, r.Rows[2].Monthly}, "a pod more is no beginning")
	assert.InDelta(t, r.Rows[0].Monthly+r.Rows[1].Monthly+r.Rows[2].Monthly, r.Tenants.Monthly, 1e-9)
}

func TestTheTimeBeginsOffTheGridOfTheResolution(t *testing.T) {
	for name, c := range map[string]struct {
		window     time.Duration
		asked      string
		resolution string
	}{
		"minutes": {10 * time.Minute, "2026-11-25T11:50:29Z,2026-11-25T12:00:30Z", "30s"},
		"a day":   {24 * time.Hour, "2026-11-24T11:59:59Z,2026-11-25T12:00:00Z", "60s"},
		"a week":  {7 * 24 * time.Hour, "2026-11-18T11:59:59Z,2026-11-25T12:00:00Z", "300s"},
		"a month": {24 * 24 * time.Hour, "2026-11-01T11:59:59Z,2026-11-25T12:00:00Z", "600s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answers())
			now := noon.Add(44 * time.Second)
			_, err := Ask(t.Context(), OpenCost{Client: s, Prometheus: s, Interval: 30 * time.Second}, now.Add(-c.window), now, Settings{By: ByOwner})
			require.NoError(t, err)
			asked := s.queries[3]
			assert.Equal(t, c.asked, asked.Get("window"), "on the grid a whole resolution is lost")
			assert.Equal(t, c.resolution, asked.Get("resolution"))
		})
	}
}

func TestATimeBeginsWhenMeasuringDid(t *testing.T) {
	a := answers()
	first := noon.Add(-20 * time.Minute)
	a[`/api/v1/query min(min_over_time(timestamp(up{job="opencost"} == 1)[604800s:60s]))`] = fmt.Sprintf(`{"status":"success","data":{"result":[{"value":[0,"%d.5"]}]}}`, first.Unix())
	s := serve(t, a)
	r, err := Ask(t.Context(), OpenCost{Client: s, Prometheus: s, Interval: 30 * time.Second}, noon.Add(-7*24*time.Hour), noon, Settings{
		By: ByTenant, HoursPerMonth: 730, Tenants: []string{"default"}})
	require.NoError(t, err)
	assert.Equal(t, first, r.Start.UTC(), "a platform of twenty minutes would cost next to nothing a week")
	assert.Equal(t, noon.Add(-7*24*time.Hour), r.Asked)
	assert.Equal(t, "30s", s.queries[3].Get("resolution"))
	assert.InDelta(t, 0.000765121*6*730, r.Rows[0].Monthly, 1e-9)
}

// The first minutes of a platform are the first that anybody looks at.
func TestAYoungPlatformSaysHowOldItsMeasurementsAre(t *testing.T) {
	ask := func(window time.Duration, query, answer string) (*Report, error) {
		a := answers()
		a["/api/v1/query "+query] = `{"status":"success","data":{"result":[` + answer + `]}}`
		s := serve(t, a)
		return Ask(t.Context(), OpenCost{Client: s, Prometheus: s, Interval: 30 * time.Second}, noon.Add(-window), noon, Settings{By: ByTenant})
	}
	// By its measurements, and not by whole minutes, which come up to one later.
	const quarter = `min(min_over_time(timestamp(up{job="opencost"} == 1)[900s:30s]))`
	at := func(ago time.Duration) string { return fmt.Sprintf(`{"value":[0,"%d"]}`, noon.Add(-ago).Unix()) }
	_, err := ask(15*time.Minute, quarter, at(40*time.Second))
	require.EqualError(t, err, "not measured yet: measuring is 40s old, and what something costs is known after 1m0s")
	var young *Young
	require.ErrorAs(t, err, &young)
	r, err := ask(15*time.Minute, quarter, at(time.Minute))
	require.NoError(t, err)
	assert.Equal(t, noon.Add(-time.Minute), r.Start.UTC())
	// No step has come to the first measurement: that is not measured since ever.
	for window, query := range map[time.Duration]string{
		15 * time.Minute: quarter, 24 * time.Hour: `min(min_over_time(timestamp(up{job="opencost"} == 1)[86400s:60s]))`,
	} {
		_, err = ask(window, query, "")
		require.EqualError(t, err, "not measured yet: measuring is 0s old, and what something costs is known after 1m0s", window)
	}
}

func TestNobodyThereIsAnErrorAndNoZero(t *testing.T) {
	const up = `/api/v1/query`
	nobody := serve(t, nil)
	nobody.Close()
	for name, c := range map[string]struct {
		answers      map[string]string
		dead         string
		want, forbid string
	}{
		"no OpenCost":                  {answers: answers(), dead: "opencost", want: "ask OpenCost: "},
		"no Prometheus":                {answers: answers(), dead: "prometheus", want: "ask Prometheus: "},
		"OpenCost cannot ask":          {answers: map[string]string{"/allocation/summary": `500|{"code":500,"message":"Error: no such host"}`}, want: "ask OpenCost: it answered 500: no such host"},
		"OpenCost says no JSON":        {answers: map[string]string{"/allocation/summary": `502|<html>`}, want: "ask OpenCost: 502 Bad Gateway, and no JSON"},
		"nothing was measured":         {answers: map[string]string{"/allocation/summary": `{"code":200,"data":{"sets":[{"allocations":{}}]}}`}, want: "OpenCost knows of nothing that ran from"},
		"Prometheus reaches nobody":    {answers: map[string]string{up: `{"status":"success","data":{"result":[{"value":[0,"0"]}]}}`}, want: "does not reach OpenCost or a kubelet"},
		"Prometheus has never reached": {answers: map[string]string{up: `{"status":"success","data":{"result":[]}}`}, want: "does not reach OpenCost or a kubelet"},
		"Prometheus writes nothing down": {answers: map[string]string{
			up + " " + age: `{"status":"success","data":{"result":[{"value":[0,"121.4"]}]}}`,
			"/metrics":     "# TYPE prometheus_tsdb_wal_writes_failed_total counter\nprometheus_tsdb_wal_writes_failed_total 36\n",
		}, want: "nothing has been measured since 2026-11-25T11:57:59Z, because Prometheus could not write to its volume 36 times: it may be full: see the runbook"},
		"Prometheus hung until now": {answers: map[string]string{
			up + " " + age: `{"status":"success","data":{"result":[{"value":[0,"150"]}]}}`,
			"/metrics":     "prometheus_tsdb_wal_writes_failed_total 0\n",
		}, want: "nothing has been measured since 2026-11-25T11:57:30Z: see the runbook"},
		"Prometheus refuses": {answers: map[string]string{up: `400|{"status":"error","error":"query timed out"}`}, want: "ask Prometheus: query timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.answers)
			o := OpenCost{Client: s, Prometheus: s, Interval: 30 * time.Second}
			switch c.dead {
			case "opencost":
				o.Client = nobody
			case "prometheus":
				o.Prometheus = nobody
			}
			r, err := Ask(t.Context(), o, noon.Add(-time.Hour), noon, Settings{By: ByOwner})
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "http://", "the address is of nowhere")
			assert.Nil(t, r)
		})
	}
}

func TestWhatIsShownAddsUpToTheLastDigit(t *testing.T) {
	r := &Report{By: ByOwner, Currency: "USD", Start: noon, End: noon.Add(time.Hour), Measured: 1, Platform: row("platform", Money{1.0 / 3, 1.0 / 3, 0}, Money{CPU: 1.0 / 3}), Idle: row("idle", Money{-0.00011, 2.0 / 3, 0}, Money{CPU: 2.0 / 3})}
	var exact float64
	for i := range 100 {
		m := Money{CPU: 0.00003 * float64(i), Memory: math.Pi / float64(i+7), Other: 1e-7}
		r.Rows = append(r.Rows, row(fmt.Sprintf("team-%d", i), m, m.times(730)))
		exact += m.Total()
	}
	exact += r.Platform.Cost + r.Idle.Cost
	r.Total.Cost = exact
	const places = 4
	var b bytes.Buffer
	require.NoError(t, r.CSV(&b))
	lines, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+100+3)
	whole := func(text string, places int) int64 {
		whole, part, _ := strings.Cut(text, ".")
		require.Len(t, part, places)
		n, err := strconv.ParseInt(whole+part, 10, 64)
		require.NoError(t, err)
		return n
	}
	sums := make([]int64, 5)
	for _, line := range lines[1 : len(lines)-1] {
		row := int64(0)
		for c := range 3 {
			row += whole(line[2+c], places)
			sums[c] += whole(line[2+c], places)
		}
		assert.Equal(t, whole(line[5], places), row, line)
		sums[3] += row
		sums[4] += whole(line[6], monthlyPlaces)
	}
	total := lines[len(lines)-1]
	assert.Equal(t, "total", total[1])
	for c, sum := range sums {
		digits := places
		if c == 4 {
			digits = monthlyPlaces
		}
		assert.Equal(t, whole(total[2+c], digits), sum, lines[0][2+c])
	}
	assert.Equal(t, int64(math.Round(exact*1e4)), sums[3], "the total is the rounded total, not a sum of rounded ones")
}

func TestAmountsAreWrittenWithTheirDigits(t *testing.T) {
	for units, want := range map[int64]string{0: "0.0000", 5: "0.0005", -5: "-0.0005", 12345: "1.2345", -120000: "-12.0000"} {
		assert.Equal(t, want, fixed(units, 4))
	}
}

func TestTheTableSaysWhoPaysAndHowLongWasMeasured(t *testing.T) {
	r := report(t, ByOwner)
	r.Measured = 0.5
	var b bytes.Buffer
	require.NoError(t, r.Text(&b))
	text := b.String()
	assert.Contains(t, text, "OWNER")
	for _, name := range []string{"data-science", Unattributed, "tenants", "platform", "idle", "total"} {
		assert.Contains(t, text, name)
	}
	assert.Contains(t, text, "USD, from 2026-11-25 11:50 to 2026-11-25 12:00 UTC")
	assert.Contains(t, text, "for 5m0s of it nothing was measured")
}

func TestASpreadsheetTakesNoNameForAFormula(t *testing.T) {
	r := &Report{By: ByOwner, Rows: []Row{row("=cmd", Money{CPU: 1}, Money{})}}
	var b bytes.Buffer
	require.NoError(t, r.CSV(&b))
	lines, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, `"=cmd"`, lines[1][0])
}

func TestTheReportIsWholeInJSON(t *testing.T) {
	text, err := json.Marshal(report(t, ByOwner))
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	for _, key := range []string{"by", "currency", "asked", "start", "end", "measured", "rows", "tenants", "platform", "idle", "total"} {
		assert.Contains(t, back, key)
	}
	first := back["rows"].([]any)[0].(map[string]any)
	assert.InDelta(t, 0.000526850, first["cpu"], 1e-12)
	assert.InDelta(t, 0.000088271, first["memory"], 1e-12)
}

func TestAnEstimateIsGoodIfTheBillIsBetweenFewestAndMostReplicas(t *testing.T) {
	r := &Report{By: ByEndpoint, Currency: "USD", Rows: []Row{
		{Name: "a/inside", Monthly: 15}, {Name: "a/above", Monthly: 30}, {Name: "a/below", Monthly: 5}, {Name: "a/endless", Monthly: 1000},
		{Name: "a/deployment:web", Monthly: 7},
	}}
	r.Compare(map[string]Estimate{
		"a/inside": {Least: 10, Most: 20}, "a/above": {Least: 10, Most: 20}, "a/below": {Least: 10, Most: 20},
		"a/endless": {Least: 0, Most: 10, Unbounded: true}, "a/asleep": {Least: 0, Most: 20},
	})
	off := map[string]float64{}
	for _, c := range r.Estimates {
		off[c.Name] = c.Off
	}
	assert.Equal(t, map[string]float64{"a/inside": 0, "a/above": 0.5, "a/below": -0.5, "a/endless": 0, "a/asleep": 0}, off)
	var b bytes.Buffer
	require.NoError(t, r.Text(&b))
	for _, line := range []string{
		"a/above    10.00..20.00       30.00           50.0 % above",
		"a/below    10.00..20.00       5.00            50.0 % below",
		"a/inside   10.00..20.00       15.00           as estimated",
		"a/endless  0.00..∞            1000.00         as estimated",
	} {
		assert.Contains(t, b.String(), line)
	}
}
