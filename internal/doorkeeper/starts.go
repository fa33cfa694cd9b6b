package doorkeeper

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Labels that KServe gives an endpoint's pods.
const (
	endpointLabel  = "serving.kserve.io/inferenceservice"
	componentLabel = "component"
	predictor      = "predictor"
)

// maxEndpoints bounds what of a tenant is counted by name: whoever may make pods may
// give them any label. More are counted as "other".
const maxEndpoints = 200

// starts counts how often endpoints came up from nothing, and how long that took.
// Pods from before it began are not counted: others may have been before them.
type starts struct {
	began time.Time

	mu sync.Mutex
	// ready pods of an endpoint, and those that were.
	pods map[started]map[types.UID]readiness
	cold map[started]*coldStarts
}

type started struct{ namespace, name string }

func (e started) compare(o started) int {
	return cmp.Or(cmp.Compare(e.namespace, o.namespace), cmp.Compare(e.name, o.name))
}

type readiness struct{ is, was bool }

type coldStarts struct {
	count   uint64
	seconds float64
}

// see a pod as it is now.
func (s *starts) see(p *corev1.Pod) {
	e := started{p.Namespace, p.Labels[endpointLabel]}
	if e.name == "" || p.Labels[componentLabel] != predictor {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pods == nil {
		s.pods, s.cold = map[started]map[types.UID]readiness{}, map[started]*coldStarts{}
	}
	if s.pods[e] == nil {
		s.pods[e] = map[types.UID]readiness{}
	}
	counted := s.counted(e)
	since, ready := readySince(p)
	now := readiness{is: ready, was: s.pods[e][p.UID].was || ready}
	first := ready && !s.pods[e][p.UID].was
	alone := !slices.ContainsFunc(slices.Collect(maps.Values(s.pods[e])), func(r readiness) bool { return r.is })
	s.pods[e][p.UID] = now
	if first && alone && p.CreationTimestamp.After(s.began) {
		counted.count++
		counted.seconds += max(0, since.Sub(p.CreationTimestamp.Time).Seconds())
	}
}

// forget a pod that is gone.
func (s *starts) forget(p *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := started{p.Namespace, p.Labels[endpointLabel]}
	delete(s.pods[e], p.UID)
	if len(s.pods[e]) == 0 {
		delete(s.pods, e)
	}
}

// counted is where starts of an endpoint are counted. It is there before the first, so
// that Prometheus sees it come.
func (s *starts) counted(e started) *coldStarts {
	if s.cold[e] == nil {
		ofTenant := 0
		for other := range s.cold {
			if other.namespace == e.namespace {
				ofTenant++
			}
		}
		if ofTenant >= maxEndpoints {
			e.name = "other"
		}
		if s.cold[e] == nil {
			s.cold[e] = &coldStarts{}
		}
	}
	return s.cold[e]
}

// readySince is when a pod got ready, if it is.
func readySince(p *corev1.Pod) (time.Time, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// write them in Prometheus' text format.
func (s *starts) write(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Keys(s.cold), started.compare)
	const starts, seconds = "neuroscale_cold_starts_total", "neuroscale_cold_start_seconds_total"
	fmt.Fprintf(w, "# HELP %s Pods of endpoints that got ready when no other one was.\n# TYPE %s counter\n", starts, starts)
	for _, e := range all {
		fmt.Fprintf(w, "%s{namespace=%q,endpoint=%q} %d\n", starts, e.namespace, e.name, s.cold[e].count)
	}
	fmt.Fprintf(w, "# HELP %s Time from their creation until they were ready.\n# TYPE %s counter\n", seconds, seconds)
	for _, e := range all {
		fmt.Fprintf(w, "%s{namespace=%q,endpoint=%q} %g\n", seconds, e.namespace, e.name, s.cold[e].seconds)
	}
}
