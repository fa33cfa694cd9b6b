package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookWithin is how long a detector may look that says nothing else.
	lookWithin = 8 * time.Second
	// atOnce is how many look at the same time: they mostly wait for the same few
	// processes.
	atOnce = 12
)

// Report is the -o json of doctor.
type Report struct {
	Stack string `json:"stack"`
	// Well is whether nothing was found and everything was looked at.
	Well bool `json:"well"`
	// Findings are causes, in the detectors' order.
	Findings []Cause `json:"findings"`
	// Blind are the detectors that could not look.
	Blind []Blind `json:"blind"`
	// Untried are the IDs of those that were not tried, because without what was found
	// they could not look.
	Untried []string `json:"untried,omitempty"`
	// Repairs are what was done, in order.
	Repairs []Repair `json:"repairs,omitempty"`
	// Looked is how many detectors did.
	Looked  int     `json:"looked"`
	Seconds float64 `json:"seconds"`
}

// Cause is a finding that does not follow from another one.
type Cause struct {
	Detector string `json:"detector"`
	Says     string `json:"says"`
	Object   string `json:"object"`
	Saw      string `json:"saw"`
	Because  string `json:"because"`
	// Repair is what --fix does about it; empty if it does nothing.
	Repair string `json:"repair,omitempty"`
	ByHand string `json:"byHand"`
	// Explains are findings that follow from it.
	Explains []string `json:"explains,omitempty"`
	fix      func(context.Context) error
}

// key tells a finding from others.
func (c Cause) key() string { return c.Detector + " " + c.Object }

// Blind is a detector that could not look.
type Blind struct {
	Detector string `json:"detector"`
	Why      string `json:"why"`
}

// seen is what one detector found.
type seen struct {
	Detector
	findings []Finding
	err      error
	untried  bool
}

// Look has every detector look, and folds what follows from something else.
func Look(ctx context.Context, p *Platform, detectors []Detector) *Report {
	start := time.Now()
	all := make([]seen, len(detectors))
	for i, d := range detectors {
		all[i] = seen{Detector: d}
	}
	run(ctx, p, all, func(d Detector) bool { return d.Offline || d.First })
	blocked := slices.ContainsFunc(all, func(s seen) bool { return s.First && (len(s.findings) > 0 || s.err != nil) })
	for i := range all {
		all[i].untried = blocked && !all[i].Offline && !all[i].First
	}
	if !blocked {
		run(ctx, p, all, func(d Detector) bool { return !d.Offline && !d.First })
	}
	r := fold(all)
	r.Stack, r.Seconds = p.Stack, time.Since(start).Seconds()
	return r
}

// run has those that are wanted look at the same time.
func run(ctx context.Context, p *Platform, all []seen, wanted func(Detector) bool) {
	places := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i := range all {
		if !wanted(all[i].Detector) {
			continue
		}
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			all[i].findings, all[i].err = inTime(ctx, p, all[i].Detector)
		})
	}
	group.Wait()
}

// inTime is what a detector finds within its limit. One that does not end with its
// context is left alone.
func inTime(ctx context.Context, p *Platform, d Detector) ([]Finding, error) {
	limit := d.Limit
	if limit == 0 {
		limit = lookWithin
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		findings []Finding
		err      error
	}
	answered := make(chan answer, 1)
	go func() {
		findings, err := d.Look(ctx, p)
		answered <- answer{findings, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil && ctx.Err() != nil {
			a.err = fmt.Errorf("it did not end within %s: %w", limit, a.err)
		}
		return a.findings, a.err
	case <-ctx.Done():
		// It may be about to say what it was waiting for.
		select {
		case a := <-answered:
			return a.findings, a.err
		case <-time.After(time.Second):
			return nil, fmt.Errorf("it did not end within %s", limit)
		}
	}
}

// node is a finding and what it follows from.
type node struct {
	of     *seen
	f      *Finding
	parent *node
}

func (n *node) root() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// fold makes a report of causes. Follows only names detectors that come before, so
// that nothing follows from itself.
func fold(all []seen) *Report {
	r := &Report{Findings: []Cause{}, Blind: []Blind{}}
	var nodes []*node
	found := map[string]bool{}
	for i := range all {
		s := &all[i]
		if s.untried {
			r.Untried = append(r.Untried, s.ID)
			continue
		}
		r.Looked++
		found[s.ID] = len(s.findings) > 0
		for j := range s.findings {
			n := &node{of: s, f: &s.findings[j]}
			for _, cause := range nodes {
				if cause.of != s && slices.Contains(s.Follows, cause.of.ID) && cause.f.explains(n.f) {
					n.parent = cause
					break
				}
			}
			nodes = append(nodes, n)
		}
	}
	places := map[*node]int{}
	for _, n := range nodes {
		root := n.root()
		if root == n {
			places[n] = len(r.Findings)
			r.Findings = append(r.Findings, Cause{
				Detector: n.of.ID, Says: n.f.Says, Object: n.f.Object, Saw: n.f.Saw, Because: n.of.Cause,
				Repair: n.f.Doing, ByHand: n.of.ByHand, fix: n.f.Fix,
			})
			continue
		}
		c := &r.Findings[places[root]]
		c.Explains = append(c.Explains, n.f.Says)
	}
	// Who cannot look because of what was found is not to blame.
	for i := range all {
		s := &all[i]
		if s.err == nil || slices.ContainsFunc(s.Follows, func(id string) bool { return found[id] }) {
			continue
		}
		r.Blind = append(r.Blind, Blind{Detector: s.ID, Why: strings.ReplaceAll(s.err.Error(), "\n", "; ")})
	}
	r.Well = len(r.Findings)+len(r.Blind)+len(r.Untried) == 0
	return r
}

// explains is whether what another finding is about is within reach.
func (f *Finding) explains(other *Finding) bool {
	reach := f.Reach
	if reach == nil {
		reach = []string{f.Where}
	}
	if other.Where == "" {
		return true
	}
	return slices.ContainsFunc(reach, func(part string) bool {
		return part == "" || part == other.Where || strings.HasPrefix(other.Where, part+"/")
	})
}
