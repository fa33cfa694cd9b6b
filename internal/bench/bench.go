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
	// Limit is the most that Statistic of the samples may be, or the least that all of
	// them may be.
	Limit float64 `json:"target"`
	// Statistic is median, p95, max or least.
	Statistic string `json:"statistic"`
}

// kept is whether the statistic's value keeps the promise.
func (t Target) kept(value float64) bool {
	if t.Statistic == "least" {
		return value >= t.Limit
	}
	return value <= t.Limit
}

// Targets are all promises, in the order they are measured: what only looks comes
// first, memory after what makes it grow, what takes the platform down and up again
// last.
var Targets = []Target{
	{"no-change", "`up` again, nothing to change", "s", 10, "max"},
	{"preview", "`preview`", "s", 10, "max"},
	{"guard-1000", "`guard` of 1,000 manifests", "s", 20, "max"},
	{"latency-p50", "prediction through the gateway, one connection, p50", "ms", 10, "median"},
	{"latency-p95", "prediction through the gateway, one connection, p95", "ms", 50, "p95"},
	{"drift", "deleted nginx-test Deployment back and Ready", "s", 3, "median"},
	{"form", "form of the portal submitted, to its pull request", "s", 5, "max"},
	{"propose", "`new endpoint --propose`, to its pull request", "s", 5, "max"},
	{"status", "pull request, to the guard's status", "s", 10, "max"},
	{"merge", "merge asked for, to first 200 through the gateway", "s", 15, "median"},
	{"push", "endpoint folder pushed to main, to first 200", "s", 20, "median"},
	{"zero", "first request to an endpoint scaled to zero", "s", 5, "median"},
	{"load-p99", "100 predictions a second for a minute, p99 of each ten seconds", "ms", 50, "max"},
	{"load-failed", "100 predictions a second for a minute, that failed", "failed", 0, "max"},
	{"load-most", "most predictions a second with a p99 within 50 ms", "a second", 100, "least"},
	{"load-pod", "the same 100 a second while the endpoint's pod is replaced", "failed", 0, "max"},
	{"load-doorkeeper", "while what judges keys is replaced", "failed", 0, "max"},
	{"load-gateway", "while the gateway is replaced", "failed", 0, "max"},
	{"load-argocd", "while Argo CD's controller is replaced", "failed", 0, "max"},
	{"load-kyverno", "while Kyverno is replaced", "failed", 0, "max"},
	{"guard-memory", "RSS of the idle guard", "MB", 80, "max"},
	{"portal-memory", "RSS of the portal", "MB", 450, "max"},
	{"memory", "RSS of all platform pods", "GB", 2.0, "max"},
	{"portal-ready", "portal's pod made, to portal ready", "s", 20, "max"},
	{"growth-seen", "1, then 9, then 40 endpoints merged at once, to an Application of each", "s", 20, "max"},
	{"growth-ready", "the same, to all of them Ready", "s", 600, "max"},
	{"growth-verify", "`verify` with those 1, 10 and 50 scaled to zero", "s", 30, "max"},
	{"growth-status", "`status` with them", "s", 5, "max"},
	{"growth-memory", "RSS of all platform pods with them", "GB", 2.0, "max"},
	{"destroy", "`destroy` of the stack", "s", 40, "max"},
	{"node-down", "`sealed down`", "s", 10, "max"},
	{"warm-up", "node down, images cached: to the prediction", "s", 120, "max"},
	{"warm-all", "node down, images cached: to the end of `up`", "s", 150, "max"},
}

// ByHand are promises that no run on a platform can measure.
var ByHand = []Target{
	{"first-up", "first `make up` on a machine, no caches, 2 cores, to the prediction: `time make up` in an empty home", "min", 30, "max"},
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
	// HTTP reaches the gateway, whose certificate Authority has signed, in PEM form.
	HTTP      *http.Client
	Authority string
	// Gateway URL, the endpoints' domain and namespace.
	Gateway, Domain, Namespace string
	// Key opens them; empty if the gateway asks for none.
	Key string
	// Repository of the endpoints, as an administrator.
	Repository git.Remote
	// Member proposes endpoints to Repository and merges them.
	Member Account
	// SignIn signs Member in to the portal and returns the form that asks for an endpoint;
	// nil without a portal.
	SignIn func(ctx context.Context) (Form, error)
	// Self runs this program with arguments and returns its output.
	Self func(ctx context.Context, args ...string) ([]byte, error)
	// Roomy brings the platform up with room for so many endpoints more in the first
	// tenant, and returns what runs this program with those settings and what brings the
	// former ones back.
	Roomy func(ctx context.Context, endpoints int) (self func(ctx context.Context, args ...string) ([]byte, error), back func(context.Context) error, err error)
	// Sealed runs the sealed node's program; nil leaves out what needs it.
	Sealed func(ctx context.Context, args ...string) ([]byte, error)
	// Log gets a line when a measurement begins.
	Log io.Writer
}

// Account is one of the forge's.
type Account struct{ Name, Password string }

// Form asks for an endpoint of that name and returns the pull request's URL.
type Form func(ctx context.Context, name string) (string, error)

// Has is what a platform has that some measurements need.
type Has struct {
	// Sealed is a node that may be taken down and up again.
	Sealed bool
	// Portal is the pages on which people ask for endpoints.
	Portal bool
}

// lacks says what has to be there to measure a target, and is not; "" if nothing is
// missing.
func (h Has) lacks(target string) string {
	switch target {
	case "destroy", "node-down", "warm-up", "warm-all":
		if !h.Sealed {
			return "takes the platform down and up again: pass --sealed with the path of the sealed program"
		}
	case "growth-seen", "growth-ready", "growth-verify", "growth-status", "growth-memory":
		if !h.Sealed {
			return "gives the first tenant a wider quota meanwhile: pass --sealed with the path of the sealed program"
		}
	case "form", "portal-memory", "portal-ready":
		if !h.Portal {
			return "is about the portal, and there is none: set neuroscale:portal.enabled to true and run `neuroscale up`"
		}
	}
	return ""
}

// means is whether a name selects the target: its own, or the first words of it, such
// as load for all that begin with load-.
func (t Target) means(name string) bool { return t.Name == name || strings.HasPrefix(t.Name, name+"-") }

// Select returns the targets of the given names; none means all that the platform
// has everything for.
func Select(names []string, has Has) ([]Target, error) {
	var known []string
	for _, t := range Targets {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if slices.ContainsFunc(Targets, func(t Target) bool { return t.means(n) }) {
			continue
		}
		return nil, fmt.Errorf("--only %s is unknown%s: there are %s", n, nearest.Hint(n, known), strings.Join(known, ", "))
	}
	var out []Target
	for _, t := range Targets {
		lacks := has.lacks(t.Name)
		switch {
		case len(names) > 0 && !slices.ContainsFunc(names, t.means):
		case lacks != "" && len(names) > 0:
			return nil, fmt.Errorf("--only %s %s", t.Name, lacks)
		case lacks != "":
		default:
			out = append(out, t)
		}
	}
	return out, nil
}

// Samples are figures by the name of the target that they are for, in its unit.
type Samples map[string][]float64

// measurement measures one target or several at once. Its note says more about how.
type measurement struct {
	targets []string
	run     func(context.Context, *Platform) (Samples, string, error)
}

// measurements are all, in the order of Targets.
var measurements = []measurement{
	of("no-change", noChange),
	of("preview", preview),
	of("guard-1000", guardThousand),
	{[]string{"latency-p50", "latency-p95"}, latency},
	of("drift", drift),
	{[]string{"form", "propose", "status", "merge"}, goldenPath},
	of("push", push),
	of("zero", fromZero),
	{[]string{"load-p99", "load-failed"}, steady},
	of("load-most", most),
	disturbed("load-pod"),
	disturbed("load-doorkeeper"),
	disturbed("load-gateway"),
	disturbed("load-argocd"),
	disturbed("load-kyverno"),
	of("guard-memory", guardMemory),
	of("portal-memory", portalMemory),
	of("memory", memory),
	of("portal-ready", portalReady),
	{[]string{"growth-seen", "growth-ready", "growth-verify", "growth-status", "growth-memory"}, growth},
	of("destroy", destroy),
	of("node-down", nodeDown),
	{[]string{"warm-up", "warm-all"}, warmUp},
}

// of is a measurement of one target.
func of(target string, run func(context.Context, *Platform) ([]float64, string, error)) measurement {
	return measurement{[]string{target}, func(ctx context.Context, p *Platform) (Samples, string, error) {
		samples, note, err := run(ctx, p)
		return Samples{target: samples}, note, err
	}}
}

// Run measures the targets one after another. A measurement that fails is a
// missed target with its error; the others still run. Only a cancelled context
// ends the run.
func Run(ctx context.Context, p *Platform, targets []Target) ([]Result, error) {
	results := make([]Result, 0, len(targets))
	for _, m := range measurements {
		wanted := slices.DeleteFunc(slices.Clone(targets), func(t Target) bool { return !slices.Contains(m.targets, t.Name) })
		if len(wanted) == 0 {
			continue
		}
		for _, t := range wanted {
			fmt.Fprintf(p.Log, "measuring %s: %s\n", t.Name, t.What)
		}
		samples, note, err := m.run(ctx, p)
		if ctx.Err() != nil {
			return results, errors.Join(ctx.Err(), left(err))
		}
		for _, t := range wanted {
			r := summarize(t, samples[t.Name])
			r.Note = note
			if err != nil {
				r.Error, r.Pass = err.Error(), false
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// leftError is that something which a measurement made is still there.
type leftError struct{ cause error }

func (e *leftError) Error() string {
	return "could not remove everything that was made to be measured: " + e.cause.Error()
}
func (e *leftError) Unwrap() error { return e.cause }

// left is the part of an error that says what was not removed.
func left(err error) error {
	if e := (*leftError)(nil); errors.As(err, &e) {
		return e
	}
	return nil
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
	value := map[string]float64{"median": r.Median, "p95": r.P95, "max": r.Max, "least": r.Min}[t.Statistic]
	r.Pass = t.kept(value)
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
