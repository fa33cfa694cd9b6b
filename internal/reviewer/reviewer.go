// Package reviewer checks pull requests on the forge: it lays guard's verdict on the
// commit that is to be merged, as the status that main's protection demands, and
// guard's report beside it as a comment.
//
// It keeps nothing. What is to do it finds on the forge, when it is told that
// something has happened and by itself every minute, so that neither an event that
// was lost nor one that comes twice matters, nor a process that ends in the middle.
package reviewer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

const (
	// sweep is how often every open pull request is looked at.
	sweep = time.Minute
	// workers look at pull requests at once, checks are made at once.
	workers = 6
	checks  = 2
	// attempts is how often a check is begun that ends with the process it is in.
	attempts = 3
	// soon is when the forge may have found out what it did not know yet.
	soon = 500 * time.Millisecond
)

// subject is a pull request of a repository; number 0 are all that are open.
type subject struct {
	repository string
	number     int64
}

// Reviewer looks after the pull requests of some repositories.
type Reviewer struct {
	log          *slog.Logger
	forge        forgeapi.Forge
	repositories []string
	rules        string
	check        Checker
	queue        workqueue.TypedRateLimitingInterface[subject]
	slots        chan struct{}
	digests      digests
	metrics      metrics
	// outlived are the checks of a situation that this process has begun and that did not
	// end it, though the forge could not be told.
	outlived sync.Map
}

// New makes one. The rules are a name of what check goes by: with another name
// everything is judged again.
func New(log *slog.Logger, forge forgeapi.Forge, repositories []string, rules string, check Checker) *Reviewer {
	return &Reviewer{
		log: log, forge: forge, repositories: repositories, rules: rules, check: check,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[subject](time.Second, sweep)),
		slots: make(chan struct{}, checks), metrics: newMetrics(),
	}
}

// Run reviews until ctx ends.
func (r *Reviewer) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for r.next(ctx) {
			}
		})
	}
	all.Go(func() { r.forge.Watch(ctx, r.repositories, r.heard) })
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	for {
		for _, repository := range r.repositories {
			r.queue.Add(subject{repository, 0})
		}
		select {
		case <-ctx.Done():
			r.queue.ShutDown()
			all.Wait()
			return
		case <-tick.C:
		}
	}
}

// next does what is next in the queue.
func (r *Reviewer) next(ctx context.Context) bool {
	s, end := r.queue.Get()
	if end {
		return false
	}
	defer r.queue.Done(s)
	again, err := r.attend(ctx, s)
	var limited *forgeapi.Limited
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &limited):
		r.log.Warn("waits for the forge", "repository", s.repository, "number", s.number, "until", limited.Until)
		r.queue.AddAfter(s, max(time.Until(limited.Until), soon))
	case err != nil:
		r.log.Warn("tries again", "repository", s.repository, "number", s.number, "error", err)
		r.queue.AddRateLimited(s)
	case again > 0:
		r.queue.AddAfter(s, again)
	default:
		r.queue.Forget(s)
	}
	return true
}

// attend reviews the pull request, and says when to look at it again.
func (r *Reviewer) attend(ctx context.Context, s subject) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	if s.number == 0 {
		return 0, r.list(ctx, s.repository)
	}
	return r.review(ctx, s)
}

// list puts every open pull request of a repository into the queue.
func (r *Reviewer) list(ctx context.Context, repository string) error {
	open, err := r.forge.Open(ctx, repository)
	if err != nil {
		return err
	}
	for _, number := range open {
		r.queue.Add(subject{repository, number})
	}
	return nil
}

// review does what is left to do for one pull request.
func (r *Reviewer) review(ctx context.Context, s subject) (again time.Duration, err error) {
	now, open, err := r.situation(ctx, s)
	if err != nil || !open {
		return 0, err
	}
	if now.base == "" {
		return soon, nil
	}
	before, err := r.said(ctx, s, now, false)
	if err != nil || before.done() {
		return 0, err
	}
	log := r.log.With("repository", s.repository, "number", s.number, "head", short(now.head), "main", short(now.main))
	started := time.Now()
	verdict := &Verdict{}
	if died := before.attempts - r.survived(now); died >= attempts {
		verdict = refusal("the check has ended %d times before it was done: it takes more memory or time than there is. Leave something out, or split it.", died)
	} else {
		if err := r.post(ctx, s, now, forgeapi.Pending, fmt.Sprintf("attempt %d: checking", before.attempts+1)); err != nil {
			return 0, err
		}
		if verdict, err = r.judge(ctx, s, now); err != nil {
			r.metrics.checks.WithLabelValues(resultFailed).Inc()
			return 0, r.failed(ctx, s, now, err)
		}
	}
	// What has changed meanwhile is judged before anything is said of it.
	if later, open, err := r.situation(ctx, s); err != nil || !open || later != now {
		log.Info("has changed meanwhile")
		return soon, err
	}
	if err := r.forge.Comment(ctx, s.repository, s.number, guard.Marker, verdict.Comment+now.footer()); err != nil {
		return 0, r.failed(ctx, s, now, err)
	}
	state := forgeapi.Failure
	if verdict.Passed {
		state = forgeapi.Success
	}
	if err := r.post(ctx, s, now, state, verdict.Summary); err != nil {
		return 0, r.failed(ctx, s, now, err)
	}
	r.outlived.Delete(now.id())
	r.metrics.judged(verdict, time.Since(started))
	log.Info("judged", "passed", verdict.Passed, "summary", verdict.Summary, "seconds", time.Since(started).Seconds())
	return 0, nil
}

// failed says that a check could not be made, or its verdict not be said. Left as it is,
// it would count as an attempt that ended with the process.
func (r *Reviewer) failed(ctx context.Context, s subject, now situation, why error) error {
	err := r.post(ctx, s, now, forgeapi.Error, "could not check, tries again: "+oneLine(why.Error()))
	if err != nil && ctx.Err() == nil {
		r.outlived.Store(now.id(), r.survived(now)+1)
	}
	return errors.Join(why, err)
}

func (r *Reviewer) survived(now situation) int {
	n, _ := r.outlived.Load(now.id())
	count, _ := n.(int)
	return count
}

// situation is how a pull request stands. Its base is empty as long as the forge has
// not found out. Closed ones, and those for another branch, are nobody's concern.
func (r *Reviewer) situation(ctx context.Context, s subject) (now situation, open bool, err error) {
	p, err := r.forge.Pull(ctx, s.repository, s.number)
	if err != nil || !p.Open {
		return now, false, err
	}
	return situation{head: p.Head, main: p.Main, base: p.Base, rules: r.rules}, true, nil
}

// judge checks what the pull request would make of main.
func (r *Reviewer) judge(ctx context.Context, s subject, now situation) (*Verdict, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	j, err := r.job(ctx, s, now)
	var much tooMuch
	var both changedTwice
	switch {
	case errors.As(err, &much):
		return refusal("%s.", much), nil
	case errors.As(err, &both):
		return refusal("%s", both.Error()), nil
	case err != nil:
		return nil, err
	}
	return r.check(ctx, *j)
}

// changedTwice are paths that main and a pull request have both changed.
type changedTwice []string

func (c changedTwice) Error() string {
	const most = 10
	list := c[:min(most, len(c))]
	return fmt.Sprintf("main has changed the same since this began: %s. Begin from main as it is now, or bring the branch up to date, and push again.",
		strings.Join(list, ", "))
}

// trees are what main would be, and what it is.
func (r *Reviewer) trees(ctx context.Context, s subject, now situation) (after, before tree, err error) {
	trees := map[string]tree{}
	for _, commit := range []string{now.main, now.base, now.head} {
		if trees[commit] != nil {
			continue
		}
		if trees[commit], err = r.treeOf(ctx, s.repository, commit); err != nil {
			return nil, nil, err
		}
	}
	after, both := merged(trees[now.base], trees[now.main], trees[now.head])
	if len(both) > 0 {
		return nil, nil, changedTwice(both)
	}
	return after, trees[now.main], nil
}

func (r *Reviewer) job(ctx context.Context, s subject, now situation) (*Job, error) {
	after, before, err := r.trees(ctx, s, now)
	if err != nil {
		return nil, err
	}
	r.digests.put(now.id(), after.digest())
	j := &Job{Repository: s.repository}
	known := map[string][]byte{}
	if j.After, err = r.snapshot(ctx, s.repository, "pull request "+fmt.Sprint(s.number), after, known); err != nil {
		return nil, err
	}
	if j.Before, err = r.snapshot(ctx, s.repository, forgeapi.Branch+" at "+short(now.main), before, known); err != nil {
		return nil, err
	}
	return j, nil
}

// refusal is a verdict without a check.
func refusal(format string, values ...any) *Verdict {
	text := fmt.Sprintf(format, values...)
	summary, _, _ := strings.Cut(text, ": ")
	return &Verdict{Summary: oneLine(summary), Comment: guard.Marker + "\n## Guard: failed\n\n" + guard.Escape(text) + "\n"}
}

// footer of a comment says what it holds for.
func (s situation) footer() string {
	return fmt.Sprintf("\n---\n%s as it would be merged into %s at %s\n", short(s.head), forgeapi.Branch, short(s.main))
}

func (r *Reviewer) post(ctx context.Context, s subject, now situation, state, text string) error {
	err := r.forge.Say(ctx, s.repository, now.head, forgeapi.Status{State: state, Context: Context, Description: now.describe(text)})
	if err != nil {
		return fmt.Errorf("post the status %s of %s: %w", state, short(now.head), err)
	}
	return nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
