package dashboards

import (
	"fmt"
	"time"
)

// Range is a time that ends now, and what it is looked at in.
type Range struct {
	Name       string
	Span, Step time.Duration
}

// Ranges are all that may be asked for; the second is shown first.
var Ranges = []Range{
	{"15m", 15 * time.Minute, 30 * time.Second},
	{"1h", time.Hour, 30 * time.Second},
	{"6h", 6 * time.Hour, 2 * time.Minute},
	{"24h", 24 * time.Hour, 5 * time.Minute},
	{"7d", 7 * 24 * time.Hour, 30 * time.Minute},
}

// recorded is what rules look back over: a longer step would leave out what happened
// between two of them.
const recorded = 5 * time.Minute

// query is a series' expression for a range.
func (p Panel) query(s Series, r Range) string {
	if r.Step <= recorded {
		return s.Expr
	}
	over := p.Over
	if over == "" {
		over = "avg"
	}
	return fmt.Sprintf("%s_over_time((%s)[%ds:%ds])", over, s.Expr, int(r.Step.Seconds()), int(recorded.Seconds()))
}

// times are the steps of a range, in seconds since 1970.
func (r Range) times(now time.Time) []int64 {
	end := now.Truncate(r.Step)
	var all []int64
	for t := end.Add(-r.Span); !t.After(end); t = t.Add(r.Step) {
		all = append(all, t.Unix())
	}
	return all
}
