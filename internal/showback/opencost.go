package showback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

const (
	// maxAnswer is more than a cluster of ten thousand workloads answers, in bytes.
	maxAnswer = 64 << 20

	// What OpenCost calls what has no label, what nobody uses, and volumes that no
	// pod has.
	unallocated = "__unallocated__"
	idle        = "__idle__"
	unmounted   = "__unmounted__"
)

// properties are what a Use is told apart by, in the order of its key.
var properties = []string{
	"namespace", "label:owner", "label:cost_center", "label:serving_kserve_io_inferenceservice", "controller", "pod",
}

// OpenCost and its Prometheus, by whatever way they are reached.
type OpenCost struct {
	// Client of OpenCost and of Prometheus: which host is asked is its own matter.
	Client, Prometheus Doer
	// Interval is how often is measured.
	Interval time.Duration
}

// Of is the OpenCost of a cluster, and its Prometheus, through the API server.
func Of(cluster *kube.Cluster, c config.Cost) OpenCost {
	to := func(f layer.Forward) Doer { return cluster.HTTP(f.Namespace, f.Service, f.Port) }
	return OpenCost{Client: to(cost.OpenCost), Prometheus: to(cost.Prometheus), Interval: time.Duration(c.Interval)}
}

// Doer sends a request, as *http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Ask makes the report of the time from start to the last measurement. While
// Prometheus or OpenCost is not there that is an error, and never a cost of nothing.
func Ask(ctx context.Context, o OpenCost, start, now time.Time, s Settings) (*Report, error) {
	now = now.Truncate(o.Interval)
	if err := o.Measures(ctx, now); err != nil {
		return nil, err
	}
	since, err := o.since(ctx, start, now)
	if err != nil {
		return nil, err
	}
	usage, err := o.usage(ctx, since, now)
	if err != nil {
		return nil, err
	}
	recent := usage
	if hour := now.Add(-time.Hour); since.Before(hour) {
		if recent, err = o.usage(ctx, hour, now); err != nil {
			return nil, err
		}
	}
	measured, err := o.measured(ctx, usage)
	if err != nil {
		return nil, err
	}
	r := New(usage, recent, s)
	r.Asked, r.Measured = start, measured
	return r, nil
}

// usage asks what was used from start to end, which is not in the future. An answer
// that says nothing is an error: of a cluster that is measured there is always
// something to say, of OpenCost itself.
func (o OpenCost) usage(ctx context.Context, start, end time.Time) (Usage, error) {
	grid := resolution(end.Sub(start), o.Interval)
	u := Usage{Start: start.Truncate(grid), End: end.Truncate(grid)}
	query := url.Values{
		"window": {offGrid(u)}, "resolution": {fmt.Sprintf("%ds", int(grid.Seconds()))},
		"accumulate": {"true"}, "aggregate": {strings.Join(properties, ",")},
	}
	// Only the summary has all digits, but it leaves out what is idle.
	var summary struct {
		Sets []struct {
			Allocations map[string]*allocation `json:"allocations"`
		} `json:"sets"`
	}
	if err := o.ask(ctx, "/allocation/summary", query, &summary); err != nil {
		return u, err
	}
	for _, set := range summary.Sets {
		for key, a := range set.Allocations {
			use, err := a.use(key)
			if err != nil {
				return u, fmt.Errorf("OpenCost's answer: %w", err)
			}
			if use.Start.Before(u.Start) {
				use.Start = u.Start
			}
			u.Uses = append(u.Uses, use)
		}
	}
	if len(u.Uses) == 0 {
		return u, fmt.Errorf("OpenCost knows of nothing that ran from %s to %s, not even of itself: see the runbook, *No costs*",
			u.Start.UTC().Format(time.RFC3339), u.End.UTC().Format(time.RFC3339))
	}
	slices.SortFunc(u.Uses, func(a, b Use) int { return strings.Compare(a.key(), b.key()) })

	query.Set("aggregate", "cluster")
	query.Set("includeIdle", "true")
	var sets []map[string]*allocation
	if err := o.ask(ctx, "/allocation", query, &sets); err != nil {
		return u, err
	}
	for _, set := range sets {
		if a := set[idle]; a != nil {
			u.Idle = u.Idle.Plus(a.money())
		}
	}
	return u, nil
}

// resolution in which a time is looked at: what lives for less may be missed.
func resolution(span, interval time.Duration) time.Duration {
	switch {
	case span > 8*24*time.Hour:
		return 10 * time.Minute
	case span > 25*time.Hour:
		return 5 * time.Minute
	case span > 2*time.Hour:
		return max(interval, time.Minute)
	}
	return interval
}

// offGrid is the time of u as a window that begins a second before the grid of the
// resolution: one that begins on it loses a whole one, because Prometheus 3 leaves
// out the first of the N+1 points that OpenCost counts as N.
func offGrid(u Usage) string {
	return u.Start.Add(-time.Second).UTC().Format(time.RFC3339) + "," + u.End.UTC().Format(time.RFC3339)
}

// allocation is what OpenCost says of a key. A number that is none is null.
type allocation struct {
	Start            time.Time `json:"start"`
	CPUCost          *float64  `json:"cpuCost"`
	RAMCost          *float64  `json:"ramCost"`
	GPUCost          *float64  `json:"gpuCost"`
	PVCost           *float64  `json:"pvCost"`
	NetworkCost      *float64  `json:"networkCost"`
	LoadBalancerCost *float64  `json:"loadBalancerCost"`
}

func (a *allocation) money() Money {
	value := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	return Money{
		CPU: value(a.CPUCost), Memory: value(a.RAMCost),
		Other: value(a.GPUCost) + value(a.PVCost) + value(a.NetworkCost) + value(a.LoadBalancerCost),
	}
}

func (a *allocation) use(key string) (Use, error) {
	if a == nil {
		return Use{}, fmt.Errorf("%s is empty", key)
	}
	parts := strings.Split(key, "/")
	if len(parts) != len(properties) {
		// Volumes that no pod has go by one name, and so would everything unheard of:
		// it is the platform's, and in the total.
		return Use{Namespace: parts[0], Money: a.money(), Start: a.Start}, nil
	}
	for i, part := range parts {
		if part == unallocated || part == unmounted {
			parts[i] = ""
		}
	}
	u := Use{Namespace: parts[0], Owner: parts[1], CostCenter: parts[2], Endpoint: parts[3], Money: a.money(), Start: a.Start}
	switch {
	case u.Endpoint != "":
	case parts[4] != "":
		u.Endpoint = parts[4]
	case parts[5] != "":
		u.Endpoint = "pod:" + parts[5]
	}
	return u, nil
}

func (u Use) key() string {
	return strings.Join([]string{u.Namespace, u.Endpoint, u.Owner, u.CostCenter}, "/")
}

// ask decodes the data of OpenCost's answer.
func (o OpenCost) ask(ctx context.Context, path string, query url.Values, data any) error {
	var answer struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	status, err := get(ctx, o.Client, "http://opencost"+path+"?"+query.Encode(), &answer)
	if err != nil {
		return fmt.Errorf("ask OpenCost: %w", err)
	}
	if status != http.StatusOK || answer.Code != http.StatusOK {
		return fmt.Errorf("ask OpenCost: it answered %d: %s", status, strings.TrimPrefix(answer.Message, "Error: "))
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("OpenCost's answer: %w", err)
	}
	return nil
}

// jobs are what is measured: OpenCost's figures and every kubelet's.
const jobs = `up{job=~"opencost|kubelet"}`

// Measures fails if Prometheus reaches one of them no more, or writes nothing down: what
// it knew is what it answers with for five minutes more.
func (o OpenCost) Measures(ctx context.Context, now time.Time) error {
	up, err := o.instant(ctx, "min("+jobs+") and on() (count(count by (job) ("+jobs+")) == 2)", now)
	if err != nil {
		return err
	}
	if up != 1 {
		return errors.New("Prometheus does not reach OpenCost or a kubelet, so that nothing is measured: see the runbook, *No costs*")
	}
	seconds, err := o.instant(ctx, age, now)
	if err != nil {
		return err
	}
	if old := time.Duration(seconds) * time.Second; old > missed*o.Interval {
		return fmt.Errorf("nothing has been measured since %s%s: see the runbook, *No costs*", now.Add(-old).UTC().Format(time.RFC3339), o.unwritten(ctx))
	}
	return nil
}

// age of what was measured last, in seconds.
const age = "time() - min(timestamp(" + jobs + "))"

// missed measurements in a row are no chance.
const missed = 4

// unwritten says of a Prometheus that cannot write down what it measures how often it
// tried, of another nothing.
func (o OpenCost) unwritten(ctx context.Context) string {
	body, _, err := read(ctx, o.Prometheus, "http://prometheus/metrics")
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(body) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if n, err := strconv.ParseFloat(string(value), 64); string(name) == "prometheus_tsdb_wal_writes_failed_total" && err == nil && n > 0 {
			return fmt.Sprintf(", because Prometheus could not write to its volume %.0f times: it may be full", n)
		}
	}
	return ""
}

// Young is that measuring began too short a time ago to say what anything costs.
type Young struct {
	// For is how long has been measured, Needs how long it takes.
	For, Needs time.Duration
}

// Error implements error.
func (y *Young) Error() string {
	return fmt.Sprintf("not measured yet: measuring is %s old, and what something costs is known after %s", y.For, y.Needs)
}

// since is when measuring began, if that is after start: to the measurement within a
// few hours, else to the minute.
func (o OpenCost) since(ctx context.Context, start, now time.Time) (time.Time, error) {
	span := now.Sub(start)
	step := o.Interval
	if span > 2*time.Hour {
		step = max(step, time.Minute)
	}
	first, err := o.instant(ctx, fmt.Sprintf(`min(min_over_time(timestamp(up{job="opencost"} == 1)[%ds:%ds]))`,
		int(span.Seconds()), int(step.Seconds())), now)
	if err != nil {
		return time.Time{}, err
	}
	since := time.Unix(int64(first), 0)
	if first == 0 { // the steps of a long time have not come to the first measurement yet
		since = now
	}
	if since.Before(start) {
		since = start
	}
	// OpenCost's first step comes after its first measurement.
	if age, needs := now.Sub(since), 2*o.Interval; age < needs {
		return since, &Young{max(0, age.Truncate(time.Second)), needs}
	}
	return since, nil
}

// measured says for how much of the time of u, from 0 to 1, measurements were taken.
func (o OpenCost) measured(ctx context.Context, u Usage) (float64, error) {
	seconds := u.End.Sub(u.Start).Seconds()
	taken, err := o.instant(ctx, fmt.Sprintf("min(sum_over_time(%s[%ds]))", jobs, int(seconds)), u.End)
	return min(1, taken*o.Interval.Seconds()/seconds), err
}

// Sample is a value of a query and its labels.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Samples are the values of a query of Prometheus. Those that are no number, such as
// a ratio of nothing, are left out.
func (o OpenCost) Samples(ctx context.Context, query string, at time.Time) ([]Sample, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		}
	}
	values := url.Values{"query": {query}, "time": {at.UTC().Format(time.RFC3339)}}
	if _, err := get(ctx, o.Prometheus, "http://prometheus/api/v1/query?"+values.Encode(), &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("ask Prometheus: %s", answer.Error)
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("Prometheus answered %q, which is no number", text)
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			samples = append(samples, Sample{r.Metric, value})
		}
	}
	return samples, nil
}

// instant is the one value of a query; without one it is 0.
func (o OpenCost) instant(ctx context.Context, query string, at time.Time) (float64, error) {
	samples, err := o.Samples(ctx, query, at)
	if err != nil || len(samples) == 0 {
		return 0, err
	}
	return samples[0].Value, nil
}

func get(ctx context.Context, client Doer, address string, to any) (status int, err error) {
	body, status, err := read(ctx, client, address)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return 0, fmt.Errorf("%d %s, and no JSON", status, http.StatusText(status))
	}
	return status, nil
}

func read(ctx context.Context, client Doer, address string) (body []byte, status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := client.Do(request)
	var u *url.Error
	if errors.As(err, &u) {
		return nil, 0, u.Err // the rest is an address of nowhere
	}
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return body, response.StatusCode, err
}
