package reviewer

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
)

func counted(r *Reviewer) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r.Metrics(), promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestChecksAreCountedByWhatBecameOfThem(t *testing.T) {
	f, forge := newForge(t)
	f.propose(1, "h1", "m0", good)
	r := reviewer(t, forge, &passes{})
	for _, result := range []string{resultPassed, resultRefused, resultFailed} {
		assert.Contains(t, counted(r), `neuroscale_guard_checks_total{result="`+result+`"} 0`, "the first would not be seen to come")
	}
	attend(t, r, 1)
	attend(t, r, 1) // judged already
	text := counted(r)
	assert.Contains(t, text, `neuroscale_guard_checks_total{result="passed"} 1`)
	assert.Contains(t, text, "neuroscale_guard_check_seconds_count 1")
	r.metrics.judged(&Verdict{}, 0)
	assert.Contains(t, counted(r), `neuroscale_guard_checks_total{result="refused"} 1`)
}
