package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// mendedWithin is how long a repair may take until its detector finds nothing more.
	mendedWithin = 2 * time.Minute
	// settledWithin is how long what followed from a repaired cause may take to be well
	// again.
	settledWithin = 2 * time.Minute
	// rounds of repairs: what a first one uncovers a second one mends.
	rounds = 3
)

// Repair is what was done about a finding.
type Repair struct {
	Detector string `json:"detector"`
	Did      string `json:"did"`
	// Error is why it did not help; empty if the detector finds it no more.
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Fix looks, repairs what can be, and looks again, until nothing is left or nothing
// more can be done. Said, if not nil, is told of each thing before it is done.
func Fix(ctx context.Context, p *Platform, said func(string)) *Report {
	start := time.Now()
	var done []Repair
	tried, mended := map[string]bool{}, map[string]bool{}
	report := Look(ctx, p, Detectors())
	for range rounds {
		var now []Cause
		for _, c := range report.Findings {
			if c.fix != nil && !tried[c.key()] {
				now = append(now, c)
			}
		}
		if len(now) == 0 || ctx.Err() != nil {
			break
		}
		for _, c := range now {
			tried[c.key()] = true
			if said != nil {
				said(c.Repair + ": " + c.Says)
			}
			r := repair(ctx, p, c)
			done = append(done, r)
			mended[c.key()] = r.Error == ""
		}
		report = settle(ctx, p, report, tried, mended)
	}
	report.Repairs, report.Seconds = done, time.Since(start).Seconds()
	return report
}

// repair does what a finding says, and waits until its detector finds it no more.
func repair(ctx context.Context, p *Platform, c Cause) Repair {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, mendedWithin)
	defer cancel()
	r := Repair{Detector: c.Detector, Did: c.Repair}
	err := c.fix(ctx)
	if err == nil {
		err = awaitMended(ctx, p, c)
	}
	if err != nil {
		r.Error = sentence(err.Error())
	}
	r.Seconds = time.Since(start).Seconds()
	return r
}

func awaitMended(ctx context.Context, p *Platform, c Cause) error {
	i := slices.IndexFunc(Detectors(), func(d Detector) bool { return d.ID == c.Detector })
	d := Detectors()[i]
	saw := c.Saw
	err := p.until(ctx, func(ctx context.Context) (bool, error) {
		found, err := inTime(ctx, p, d)
		if err != nil {
			return false, err
		}
		for _, f := range found {
			if (Cause{Detector: d.ID, Object: f.Object}).key() == c.key() {
				saw = f.Saw
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("it is still so after %s: %s", mendedWithin, saw)
	}
	return nil
}

// settle looks until nothing is on its way any more: all that is found was found before
// the repairs, too, or something new stays that can be repaired.
func settle(ctx context.Context, p *Platform, before *Report, tried, mended map[string]bool) *Report {
	known := map[string]bool{}
	for _, c := range before.Findings {
		// A pod that was started anew is there for a moment before it is not ready.
		known[c.key()] = !mended[c.key()]
	}
	for _, b := range before.Blind {
		known[b.Detector] = true
	}
	patience, cancel := context.WithTimeout(ctx, settledWithin)
	defer cancel()
	var report *Report
	looks := 0
	_ = p.until(patience, func(context.Context) (bool, error) {
		// That the patience ends must not make the detectors blind.
		report = Look(ctx, p, Detectors())
		looks++
		moving := slices.ContainsFunc(report.Findings, func(c Cause) bool { return !known[c.key()] }) ||
			slices.ContainsFunc(report.Blind, func(b Blind) bool { return !known[b.Detector] })
		fresh := slices.ContainsFunc(report.Findings, func(c Cause) bool { return c.fix != nil && !tried[c.key()] })
		// What comes up at once may only be on its way.
		return !moving || fresh && looks > 3, nil
	})
	return report
}

// until asks again and again, slower and slower, until it holds. What cannot be asked
// is asked again.
func (p *Platform) until(ctx context.Context, holds func(context.Context) (bool, error)) error {
	last := error(nil)
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		ok, err := holds(ctx)
		if ok && err == nil {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			if last != nil {
				return last
			}
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
