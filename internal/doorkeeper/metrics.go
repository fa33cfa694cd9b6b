package doorkeeper

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// maxSeries bounds what is remembered. Names of keys and endpoints are the
// platform's own, not what somebody wrote into a request, so it takes many keys
// and years to get there; what comes then is counted as "other".
const maxSeries = 10000

// series is what requests are counted by.
type series struct {
	key, tenant, endpoint string
	outcome               keys.Outcome
}

func (s series) compare(o series) int {
	return cmp.Or(cmp.Compare(s.tenant, o.tenant), cmp.Compare(s.endpoint, o.endpoint),
		cmp.Compare(s.key, o.key), cmp.Compare(s.outcome, o.outcome))
}

// bounds of the histogram of judgements, in seconds.
var bounds = [...]float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 1e-3, 10e-3}

type metrics struct {
	keys, badKeys atomic.Int64
	inside        atomic.Int64

	sync.Mutex
	requests map[series]uint64
	took     [len(bounds) + 1]uint64
	seconds  float64
}

func (m *metrics) count(s series, took time.Duration) {
	m.Lock()
	defer m.Unlock()
	if m.requests == nil {
		m.requests = map[series]uint64{}
	}
	if _, known := m.requests[s]; !known && len(m.requests) >= maxSeries {
		s = series{key: "other", tenant: "other", endpoint: "other", outcome: s.outcome}
	}
	m.requests[s]++
	i := 0
	for i < len(bounds) && took.Seconds() > bounds[i] {
		i++
	}
	m.took[i]++
	m.seconds += took.Seconds()
}

// WriteMetrics writes them in Prometheus' text format.
func (d *Doorkeeper) WriteMetrics(w io.Writer) {
	m := &d.metrics
	m.Lock()
	defer m.Unlock()
	fmt.Fprint(w, "# HELP neuroscale_requests_total Requests at the gateway by key, endpoint and what became of them.\n# TYPE neuroscale_requests_total counter\n")
	all := make([]series, 0, len(m.requests))
	for s := range m.requests {
		all = append(all, s)
	}
	slices.SortFunc(all, series.compare)
	for _, s := range all {
		fmt.Fprintf(w, "neuroscale_requests_total{key=%q,namespace=%q,endpoint=%q,outcome=%q} %d\n", s.key, s.tenant, s.endpoint, s.outcome, m.requests[s])
	}
	gauge := func(name, help string, value int64) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", name, help, name, name, value)
	}
	gauge("neuroscale_keys", "Keys in force, expired ones included.", m.keys.Load())
	gauge("neuroscale_keys_unreadable", "Entries of the store that are no key.", m.badKeys.Load())
	gauge("neuroscale_tenant_pods", "Pods that may ask endpoints of their own tenant without a key.", m.inside.Load())
	const took = "neuroscale_judgement_seconds"
	fmt.Fprintf(w, "# HELP %s Time to judge a request, without the way to and from the gateway.\n# TYPE %s histogram\n", took, took)
	var sum uint64
	for i, b := range bounds {
		sum += m.took[i]
		fmt.Fprintf(w, "%s_bucket{le=\"%g\"} %d\n", took, b, sum)
	}
	sum += m.took[len(bounds)]
	fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", took, sum, took, m.seconds, took, sum)
	d.starts.write(w)
}
