package reviewer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// results of a check, as they are counted.
const (
	resultPassed  = "passed"
	resultRefused = "refused"
	resultFailed  = "failed" // it could not be made
)

// metrics of checks.
type metrics struct {
	checks  *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics() metrics {
	m := metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "neuroscale_guard_checks_total", Help: "Checks of pull requests by what became of them.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "neuroscale_guard_check_seconds", Help: "Time from the beginning of a check until its verdict is on the forge.",
			Buckets: []float64{0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120},
		}),
	}
	for _, result := range []string{resultPassed, resultRefused, resultFailed} {
		m.checks.WithLabelValues(result)
	}
	return m
}

// judged counts a check that came to a verdict.
func (m metrics) judged(v *Verdict, took time.Duration) {
	result := resultRefused
	if v.Passed {
		result = resultPassed
	}
	m.checks.WithLabelValues(result).Inc()
	m.seconds.Observe(took.Seconds())
}

// Metrics of the reviewer, for Prometheus.
func (r *Reviewer) Metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.metrics.checks, r.metrics.seconds)
	return registry
}
