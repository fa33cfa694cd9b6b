package showback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
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
	"namespace", "label:owner", "label:cost_center", "label:serving_kserve_io_inferenceservice", "controller",
}

// OpenCost and its Prometheus, by whatever way they are reached.
type OpenCost struct {
	// Client of OpenCost and of Prometheus: which host is asked is its own matter.
	Client, Prometheus Doer
	// Interval is how often is measured.
	Interval time.Duration
}

// Doer sends a request, as *http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Ask makes the report of a time that ends now, or shortly before. While Prometheus
// or OpenCost is not there that is an error, and never a cost of nothing.
func Ask(ctx context.Context, o OpenCost, start, now time.Time, s Settings) (*Report, error) {
	now = now.Truncate(time.Second)
	if _, err := o.Measured(ctx, now.Add(-10*time.Minute), now); err != nil {
		return nil, err
	}
	usage, err := o.Usage(ctx, start, now)
	if err != nil {
		return nil, err
	}
	recent := usage
	if hour := now.Add(-time.Hour); start.Before(hour) && usage.since().Before(hour) {
		if recent, err = o.Usage(ctx, hour, now); err != nil {
			return nil, err
		}
	}
	measured, err := o.Measured(ctx, usage.since(), now)
	if err != nil {
		return nil, err
	}
	return New(usage, recent, measured, s), nil
}

// Usage asks what was used from start to end, which is not in the future. An answer
// that says nothing is an error: of a cluster that is measured there is always
// something to say, of OpenCost itself.
func (o OpenCost) Usage(ctx context.Context, start, end time.Time) (Usage, error) {
	start, resolution := offGrid(start, end.Sub(start), o.Interval)
	u := Usage{Start: start, End: end}
	window := start.UTC().Format(time.RFC3339) + "," + end.UTC().Format(time.RFC3339)
	query := url.Values{
		"window": {window}, "resolution": {resolution}, "accumulate": {"true"}, "aggregate": {strings.Join(properties, ",")},
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
			u.Uses = append(u.Uses, use)
		}
	}
	if len(u.Uses) == 0 {
		return u, fmt.Errorf("OpenCost knows of nothing that ran from %s to %s: Prometheus was not there or measured nothing, see the runbook, *No costs*",
			start.Format(time.RFC3339), end.Format(time.RFC3339))
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

// offGrid is start a second before a multiple of the resolution that fits the time:
// a time that begins on one loses it whole, because Prometheus 3 leaves out the first
// of N+1 points that OpenCost counts as N.
func offGrid(start time.Time, window, interval time.Duration) (time.Time, string) {
	resolution := interval
	switch {
	case window > 8*24*time.Hour:
		resolution = 10 * time.Minute
	case window > 25*time.Hour:
		resolution = 5 * time.Minute
	case window > 2*time.Hour:
		resolution = max(interval, time.Minute)
	}
	return start.Truncate(resolution).Add(-time.Second), fmt.Sprintf("%ds", int(resolution.Seconds()))
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
	if u.Endpoint == "" {
		u.Endpoint = parts[4]
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

// Measured says for how much of a time, from 0 to 1, measurements were taken of
// OpenCost's figures and of every kubelet's. That Prometheus measures at the moment
// is asked as well: one that does not is an error.
func (o OpenCost) Measured(ctx context.Context, start, end time.Time) (float64, error) {
	now, err := o.instant(ctx, `min(up{job=~"opencost|kubelet"}) and on() (count(count by (job) (up{job=~"opencost|kubelet"})) == 2)`, end)
	if err != nil {
		return 0, err
	}
	if now != 1 {
		return 0, errors.New("Prometheus reaches OpenCost or a kubelet no more, so that nothing is measured: see the runbook, *No costs*")
	}
	taken, err := o.instant(ctx, fmt.Sprintf(`min(sum_over_time(up{job=~"opencost|kubelet"}[%ds]))`, int(end.Sub(start).Seconds())), end)
	if err != nil {
		return 0, err
	}
	return min(1, taken*o.Interval.Seconds()/end.Sub(start).Seconds()), nil
}

// instant is the one value of a query; without one it is 0.
func (o OpenCost) instant(ctx context.Context, query string, at time.Time) (float64, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		}
	}
	values := url.Values{"query": {query}, "time": {at.UTC().Format(time.RFC3339)}}
	if _, err := get(ctx, o.Prometheus, "http://prometheus/api/v1/query?"+values.Encode(), &answer); err != nil {
		return 0, fmt.Errorf("ask Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("ask Prometheus: %s", answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return 0, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	var value float64
	if _, err := fmt.Sscan(text, &value); err != nil {
		return 0, fmt.Errorf("Prometheus answered %q, which is no number", text)
	}
	return value, nil
}

func get(ctx context.Context, client Doer, address string, to any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	var u *url.Error
	if errors.As(err, &u) {
		return 0, u.Err // the rest is an address of nowhere
	}
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return 0, fmt.Errorf("%s, and no JSON", response.Status)
	}
	return response.StatusCode, nil
}
