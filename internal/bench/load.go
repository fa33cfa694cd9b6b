package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

const (
	// rate is how many predictions a second an endpoint is asked for under load.
	rate = 100
	// held is for how long, when nobody disturbs it.
	held = time.Minute
	// settle is how long an endpoint is asked before and after it is disturbed.
	settle = 5 * time.Second
	// askers ask at once. Every other one speaks HTTP/1.1, the others HTTP/2.
	askers = 16
	// overload bounds a load, in seconds.
	overload = 3 * time.Minute
	// quick is the p99 that counts as an answer in time, in ms.
	quick = 50
	// try is for how long each rate is tried, when the highest is looked for.
	try = 5 * time.Second
)

// rates are tried one after another to find the highest that is answered in time.
var rates = []int{50, 100, 150, 200, 250, 300, 400, 500}

// load is how an endpoint did while it was asked all the time.
type load struct {
	mu sync.Mutex
	// answers are how late they came, in ms since they were due, and when that was.
	answers []answered
	failed  map[string]int
}

type answered struct {
	due  time.Time
	late float64
}

func (l *load) add(due time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[kindOf(err)]++
		return
	}
	l.answers = append(l.answers, answered{due, float64(time.Since(due).Microseconds()) / 1000})
}

// kindOf tells failures apart without what differs each time.
func kindOf(err error) string {
	var status *predict.StatusError
	if errors.As(err, &status) {
		return fmt.Sprintf("%d %s", status.Status, http.StatusText(status.Status))
	}
	return err.Error()
}

// failures are how many there were, and of which kind.
func (l *load) failures() (n int, kinds string) {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(l.failed)) {
		n += l.failed[kind]
		parts = append(parts, fmt.Sprintf("%d times %s", l.failed[kind], kind))
	}
	return n, strings.Join(parts, "; ")
}

// late are all answers, sorted.
func (l *load) late() []float64 {
	var all []float64
	for _, a := range l.answers {
		all = append(all, a.late)
	}
	slices.Sort(all)
	return all
}

// String says how it went, for a note.
func (l *load) String() string {
	late := l.late()
	failed, kinds := l.failures()
	if len(late) == 0 {
		return fmt.Sprintf("%d asked, none answered: %s", failed, kinds)
	}
	text := fmt.Sprintf("%d asked, p50 %.3g ms, p99 %.3g ms, the last after %.3g ms", len(late)+failed, quantile(late, 0.5), quantile(late, 0.99), late[len(late)-1])
	if kinds != "" {
		text += "; " + kinds
	}
	return text
}

// underLoad asks an endpoint at a steady rate as long as during takes. A request is late
// from when it was due, whoever was not there to send it.
func (p *Platform) underLoad(ctx context.Context, perSecond int, during func(context.Context) error) (*load, error) {
	ctx, cancel := context.WithTimeout(ctx, overload)
	defer cancel()
	host, err := p.host(ctx, warmEndpoint)
	if err != nil {
		return nil, err
	}
	l := &load{failed: map[string]int{}}
	due := make(chan time.Time, perSecond*int(overload/time.Second))
	var all sync.WaitGroup
	for i := range askers {
		client := p.clientOf(i)
		all.Go(func() {
			for at := range due {
				_, err := predict.Do(ctx, client, p.request(warmEndpoint, host))
				if ctx.Err() != nil {
					return
				}
				l.add(at, err)
			}
		})
	}
	done := make(chan error, 1)
	go func() { done <- during(ctx) }()
	start, sent := time.Now(), 0
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err = <-done:
		case <-tick.C:
			for at := start.Add(time.Duration(sent) * time.Second / time.Duration(perSecond)); !at.After(time.Now()); sent++ {
				due <- at
				at = start.Add(time.Duration(sent+1) * time.Second / time.Duration(perSecond))
			}
			continue
		}
		break
	}
	close(due)
	all.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return l, err
}

// clientOf is one for an asker: every other one speaks HTTP/1.1, as many libraries do.
func (p *Platform) clientOf(asker int) *http.Client {
	c := predict.NewClient(15*time.Second, p.Authority)
	if asker%2 == 1 {
		t := c.Transport.(*http.Transport)
		t.ForceAttemptHTTP2, t.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return c
}

// pause waits; the error is that of a context that ended before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// steady asks for a minute. Its first samples are the p99 of each ten seconds.
func steady(ctx context.Context, p *Platform) (Samples, string, error) {
	start := time.Now()
	l, err := p.underLoad(ctx, rate, func(ctx context.Context) error { return pause(ctx, held) })
	if err != nil {
		return nil, "", err
	}
	failed, _ := l.failures()
	return Samples{"load-p99": l.slowest(start, 10*time.Second), "load-failed": {float64(failed)}}, l.String(), nil
}

// slowest is the p99 of each interval since start, in ms.
func (l *load) slowest(start time.Time, interval time.Duration) []float64 {
	parts := map[int][]float64{}
	for _, a := range l.answers {
		parts[int(a.due.Sub(start)/interval)] = append(parts[int(a.due.Sub(start)/interval)], a.late)
	}
	var out []float64
	for _, i := range slices.Sorted(maps.Keys(parts)) {
		slices.Sort(parts[i])
		out = append(out, quantile(parts[i], 0.99))
	}
	return out
}

// most is the highest of rates at which every answer came, and 99 in 100 of them in time.
func most(ctx context.Context, p *Platform) ([]float64, string, error) {
	highest, note := 0, ""
	for _, each := range rates {
		l, err := p.underLoad(ctx, each, func(ctx context.Context) error { return pause(ctx, try) })
		if err != nil {
			return nil, "", err
		}
		failed, _ := l.failures()
		late := l.late()
		if failed > 0 || len(late) == 0 || quantile(late, 0.99) > quick {
			note = fmt.Sprintf("at %d a second: %s", each, l)
			break
		}
		highest = each
	}
	return []float64{float64(highest)}, note, nil
}

// disturbance is what is replaced while an endpoint is asked: pods, one after another.
type disturbance struct{ namespace, selector string }

var disturbances = map[string]disturbance{
	"load-pod":        {"", "serving.kserve.io/inferenceservice=" + warmEndpoint},
	"load-doorkeeper": {serving.DoorkeeperNamespace, "app=doorkeeper"},
	"load-gateway":    {serving.GatewayNamespace, "app=3scale-kourier-gateway"},
	"load-argocd":     {argocd.Namespace, "app.kubernetes.io/name=argocd-application-controller"},
	"load-kyverno":    {guardrails.KyvernoLayer, ""},
}

// disturbed counts what fails while that happens.
func disturbed(name string) measurement {
	d := disturbances[name]
	return of(name, func(ctx context.Context, p *Platform) ([]float64, string, error) {
		var pods int
		var took float64
		l, err := p.underLoad(ctx, rate, func(ctx context.Context) (err error) {
			if err := pause(ctx, settle); err != nil {
				return err
			}
			if took, err = timed(func() error { pods, err = p.replace(ctx, d); return err }); err != nil {
				return err
			}
			return pause(ctx, 2*settle)
		})
		if err != nil {
			return nil, "", err
		}
		failed, _ := l.failures()
		return []float64{float64(failed)}, fmt.Sprintf("pods replaced one after another: %d in %.0f s; %s", pods, took, l), nil
	})
}

// replace deletes pods one after another, each when as many as before are ready.
func (p *Platform) replace(ctx context.Context, d disturbance) (n int, err error) {
	if d.namespace == "" {
		d.namespace = p.Namespace
	}
	before, err := p.running(ctx, d)
	if err != nil {
		return 0, err
	}
	if len(before) == 0 {
		return 0, fmt.Errorf("no pod with %q runs in namespace %s", d.selector, d.namespace)
	}
	for i, pod := range before {
		if err := p.Dynamic.Resource(kube.Pods).Namespace(d.namespace).Delete(ctx, pod.GetName(), metav1.DeleteOptions{}); err != nil {
			return i, fmt.Errorf("delete pod %s/%s: %w", d.namespace, pod.GetName(), err)
		}
		err := predict.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			now, err := p.running(ctx, d)
			// The next one of a StatefulSet has the same name.
			same := slices.ContainsFunc(now, func(o unstructured.Unstructured) bool { return o.GetUID() == pod.GetUID() })
			if err == nil && (len(now) < len(before) || same) {
				err = fmt.Errorf("%d of %d pods are ready in namespace %s: %w", len(now), len(before), d.namespace, errStill)
			}
			return err
		})
		if err != nil {
			return i, err
		}
	}
	return len(before), nil
}

// running are the pods that are ready and meant to stay.
func (p *Platform) running(ctx context.Context, d disturbance) ([]unstructured.Unstructured, error) {
	list, err := p.Dynamic.Resource(kube.Pods).Namespace(d.namespace).List(ctx, metav1.ListOptions{LabelSelector: d.selector})
	if err != nil {
		return nil, fmt.Errorf("list the pods in namespace %s: %w", d.namespace, err)
	}
	return slices.DeleteFunc(list.Items, func(o unstructured.Unstructured) bool {
		return kube.Text(o.Object, "status", "phase") != "Running" || kube.NotReady(&o) != ""
	}), nil
}
