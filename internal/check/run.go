package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Farewell is how long a check whose time is up may take to put back what it changed.
const Farewell = 4 * time.Second

// atOnce is how many checks are under way: they mostly wait for the same few
// processes.
const atOnce = 6

// Status is how a check ended.
type Status string

// The three there are.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result of a check.
type Result struct {
	ID       string  `json:"id"`
	Title    string  `json:"title"`
	Status   Status  `json:"status"`
	Evidence string  `json:"evidence"`
	Seconds  float64 `json:"seconds"`
	// Remedy is empty for a check that passed.
	Remedy string `json:"remedy,omitempty"`
	// Off is a skipped check whose part the configuration has switched off.
	Off bool `json:"off,omitempty"`
	// Follows are the failed checks without which this one cannot pass.
	Follows []string `json:"follows,omitempty"`
}

// Report of a run, and its -o json.
type Report struct {
	Stack  string   `json:"stack"`
	Checks []Result `json:"checks"`
	Passed int      `json:"passed"`
	Failed int      `json:"failed"`
	// Skipped has those that are Off among it.
	Skipped int `json:"skipped"`
	// Well is whether every check passed, but for those that are Off.
	Well    bool    `json:"well"`
	Seconds float64 `json:"seconds"`
}

// Run runs the checks, those that only look at the same time, and ends some seconds
// after ctx at the latest: what has not answered when that ends has failed.
func Run(ctx context.Context, stack string, checks []Check) *Report {
	start := time.Now()
	r := &run{results: map[string]Result{}}
	first := func(c Check) bool { return c.First }
	apart := func(c Check) bool { return !c.First && c.Apart }
	look := func(c Check) bool { return !c.First && !c.Apart && !c.Alone }
	r.all(ctx, checks, first)
	for _, c := range checks {
		if c.First && r.results[c.ID].Status != Pass {
			r.blocked = append(r.blocked, c.ID)
		}
	}
	var meanwhile sync.WaitGroup
	meanwhile.Go(func() { r.all(ctx, checks, apart) })
	r.all(ctx, checks, look)
	r.all(ctx, checks, func(c Check) bool { return c.Alone })
	meanwhile.Wait()
	return r.report(stack, checks, time.Since(start))
}

type run struct {
	lock    sync.Mutex
	results map[string]Result
	// blocked are checks that came first and did not pass.
	blocked []string
}

// all runs those that are wanted and returns when each has a result.
func (r *run) all(ctx context.Context, checks []Check, wanted func(Check) bool) {
	places := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for _, c := range checks {
		if !wanted(c) {
			continue
		}
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			result := r.one(ctx, c)
			r.lock.Lock()
			defer r.lock.Unlock()
			r.results[c.ID] = result
		})
	}
	group.Wait()
}

func (r *run) one(ctx context.Context, c Check) Result {
	result := Result{ID: c.ID, Title: c.Title}
	if why := r.untried(c); len(why) > 0 {
		result.Status, result.Remedy = Skip, c.Remedy
		result.Evidence = "it was not tried, because these did not pass: " + strings.Join(why, ", ")
		return result
	}
	limit := c.Limit
	if limit == 0 {
		limit = Limit
	}
	start := time.Now()
	evidence, err := inTime(ctx, limit, c.Run)
	result.Seconds = time.Since(start).Seconds()
	var off *OffError
	switch {
	case err == nil:
		result.Status, result.Evidence = Pass, evidence
	case errors.As(err, &off):
		result.Status, result.Evidence, result.Off = Skip, off.Reason, true
	default:
		result.Status, result.Evidence, result.Remedy = Fail, strings.ReplaceAll(err.Error(), "\n", "; "), c.Remedy
	}
	return result
}

// untried are the checks because of which c cannot be tried.
func (r *run) untried(c Check) []string {
	if len(r.blocked) > 0 {
		return r.blocked
	}
	if !c.Alone {
		return nil
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	var why []string
	for _, id := range c.Follows {
		if result, asked := r.results[id]; asked && result.Status != Pass && !result.Off {
			why = append(why, id)
		}
	}
	return why
}

// inTime is f's answer, or that there was none in time. What holds on to neither its
// context nor its caller is left behind.
func inTime(ctx context.Context, limit time.Duration, f func(context.Context) (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		evidence string
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		evidence, err := f(ctx)
		answers <- answer{evidence, err}
	}()
	late := time.NewTimer(limit + Farewell)
	defer late.Stop()
	select {
	case a := <-answers:
		if errors.Is(a.err, context.DeadlineExceeded) {
			a.err = fmt.Errorf("no answer in time (%s): %w", limit, a.err)
		}
		return a.evidence, a.err
	case <-late.C:
		return "", fmt.Errorf("no answer in %s", limit)
	}
}

func (r *run) report(stack string, checks []Check, took time.Duration) *Report {
	report := &Report{Stack: stack, Checks: []Result{}, Well: true, Seconds: took.Seconds()}
	for _, c := range checks {
		result := r.results[c.ID]
		if result.Status == Fail {
			for _, id := range c.Follows {
				if other, asked := r.results[id]; asked && other.Status == Fail {
					result.Follows = append(result.Follows, id)
				}
			}
		}
		switch result.Status {
		case Pass:
			report.Passed++
		case Skip:
			report.Skipped++
		default:
			report.Failed++
		}
		report.Well = report.Well && (result.Status == Pass || result.Off)
		report.Checks = append(report.Checks, result)
	}
	report.Well = report.Well && report.Passed > 0
	return report
}

// Failures are the IDs of the checks that failed, in their order.
func (r *Report) Failures() []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Status == Fail {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Get is the result of a check; false if it was not asked.
func (r *Report) Get(id string) (Result, bool) {
	i := slices.IndexFunc(r.Checks, func(c Result) bool { return c.ID == id })
	if i < 0 {
		return Result{}, false
	}
	return r.Checks[i], true
}
