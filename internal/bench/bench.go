// Package bench measures what the platform promises, on the running platform,
// and says for each promise whether it was kept.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Target is one promise.
type Target struct {
	// Name selects it on the command line.
	Name string `json:"name"`
	// What is measured, for people.
	What string `json:"what"`
	// Unit of Limit and of the samples.
	Unit string `json:"unit"`
	// Limit is the most that Statistic of the samples may be.
	Limit float64 `json:"target"`
	// Statistic is median, p95 or max.
	Statistic string `json:"statistic"`
}

// Targets are all promises, in the order they are measured: what only looks
// comes first, what takes the platform down and up again last.
var Targets = []Target{
	{"no-change", "`up` again, nothing to change", "s", 10, "max"},
	{"preview", "`preview`", "s", 10, "max"},
	{"latency-p50", "prediction through the gateway, one connection, p50", "ms", 10, "median"},
	{"latency-p95", "prediction through the gateway, one connection, p95", "ms", 50, "p95"},
	{"memory", "RSS of all platform pods", "GB", 2.0, "max"},
	{"drift", "deleted nginx-test Deployment back and Ready", "s", 3, "median"},
	{"push", "endpoint folder pushed to main, to first 200", "s", 20, "median"},
	{"zero", "first request to an endpoint scaled to zero", "s", 5, "median"},
	{"destroy", "`destroy` of the stack", "s", 40, "max"},
	{"node-down", "`sealed down`", "s", 10, "max"},
	{"warm-up", "node down, images cached: to the prediction", "s", 120, "max"},
}

// Result is a promise with what was measured.
type Result struct {
	Target
	Samples []float64 `json:"samples"`
	Min     float64   `json:"min"`
	Median  float64   `json:"median"`
	P95     float64   `json:"p95"`
	Max     float64   `json:"max"`
	Pass    bool      `json:"pass"`
	// Note says more about how it was measured.
	Note string `json:"note,omitempty"`
	// Error is why there is no (complete) measurement.
	Error string `json:"error,omitempty"`
}

// Platform is what is measured, and with what.
type Platform struct {
	// Dynamic and Get reach the cluster.
	Dynamic dynamic.Interface
	Get     func(ctx context.Context, path string) ([]byte, error)
	// HTTP reaches the gateway.
	HTTP *http.Client
	// Gateway URL, the endpoints' domain and namespace.
	Gateway, Domain, Namespace string
	// Key opens them; empty if the gateway asks for none.
	Key string
	// Repository of the endpoints.
	Repository git.Remote
	// Self runs this program with arguments and returns its output.
	Self func(ctx context.Context, args ...string) ([]byte, error)
	// Sealed runs the sealed node's program; nil leaves out what needs it.
	Sealed func(ctx context.Context, args ...string) ([]byte, error)
	// Log gets a line when a measurement begins.
	Log io.Writer
}

// Select returns the targets of the given names; none means all. Those that need
// a sealed node are left out of "all" without one.
func Select(names []string, sealed bool) ([]Target, error) {
	var known []string
	for _, t := range Targets {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if slices.Contains(known, n) {
			continue
		}
		return nil, fmt.Errorf("--only %s is unknown%s: there are %s", n, nearest.Hint(n, known), strings.Join(known, ", "))
	}
	var out []Target
	for _, t := range Targets {
		lifecycle := t.Name == "destroy" || t.Name == "node-down" || t.Name == "warm-up"
		switch {
		case len(names) > 0 && !slices.Contains(names, t.Name):
		case lifecycle && !sealed && slices.Contains(names, t.Name):
			return nil, fmt.Errorf("--only %s takes the platform down and up again: pass --sealed with the path of the sealed program", t.Name)
		case lifecycle && !sealed:
		default:
			out = append(out, t)
		}
	}
	return out, nil
}

// measure returns the samples in the target's unit and a note.
type measure func(context.Context, *Platform) ([]float64, string, error)

var measures = map[string]measure{
	"no-change":   noChange,
	"preview":     preview,
	"latency-p50": latency,
	"latency-p95": latency,
	"memory":      memory,
	"drift":       drift,
	"push":        push,
	"zero":        fromZero,
	"destroy":     destroy,
	"node-down":   nodeDown,
	"warm-up":     warmUp,
}

// Run measures the targets one after another. A measurement that fails is a
// missed target with its error; the others still run. Only a cancelled context
// ends the run.
func Run(ctx context.Context, p *Platform, targets []Target) ([]Result, error) {
	results := make([]Result, 0, len(targets))
	for _, t := range targets {
		fmt.Fprintf(p.Log, "measuring %s: %s\n", t.Name, t.What)
		samples, note, err := measures[t.Name](ctx, p)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		r := summarize(t, samples)
		r.Note = note
		if err != nil {
			r.Error, r.Pass = err.Error(), false
		}
		results = append(results, r)
	}
	return results, nil
}

// Missed is an error naming the promises not kept, nil if there are none.
func Missed(results []Result) error {
	var names []string
	for _, r := range results {
		if !r.Pass {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d targets missed: %s", len(names), len(results), strings.Join(names, ", "))
}

func summarize(t Target, samples []float64) Result {
	r := Result{Target: t, Samples: samples}
	if len(samples) == 0 {
		r.Samples = []float64{}
		return r
	}
	sorted := slices.Sorted(slices.Values(samples))
	r.Min, r.Max = sorted[0], sorted[len(sorted)-1]
	r.Median, r.P95 = quantile(sorted, 0.5), quantile(sorted, 0.95)
	value := map[string]float64{"median": r.Median, "p95": r.P95, "max": r.Max}[t.Statistic]
	r.Pass = value <= t.Limit
	return r
}

// quantile interpolates between the neighbouring order statistics.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	if low+1 >= len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// timed is how many seconds f takes.
func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}

var errStill = errors.New("not yet")
