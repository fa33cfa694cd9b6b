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

	"code.gitea.io/sdk/gitea"
	"k8s.io/client-go/util/workqueue"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

const (
	// branch is what endpoints are taken from.
	branch = "main"
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
	forge        *forgeapi.Forge
	repositories []string
	rules        string
	check        Checker
	queue        workqueue.TypedRateLimitingInterface[subject]
	slots        chan struct{}
	digests      digests
	metrics      metrics
}

// New makes one. The rules are a name of what check goes by: with another name
// everything is judged again.
func New(log *slog.Logger, forge *forgeapi.Forge, repositories []string, rules string, check Checker) *Reviewer {
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
	switch {
	case ctx.Err() != nil:
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
	c, err := r.forge.Client(ctx)
	if err != nil {
		return 0, err
	}
	if s.number == 0 {
		return 0, r.list(c, s.repository)
	}
	return r.review(ctx, c, s)
}

// list puts every open pull request of a repository into the queue.
func (r *Reviewer) list(c *gitea.Client, repository string) error {
	for page := 1; ; page++ {
		open, _, err := c.ListRepoPullRequests(r.forge.Organization, repository, gitea.ListPullRequestsOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 50}, State: gitea.StateOpen,
		})
		if err != nil {
			return fmt.Errorf("list the pull requests: %w", err)
		}
		if len(open) == 0 {
			return nil
		}
		for _, p := range open {
			r.queue.Add(subject{repository, p.Index})
		}
	}
}

// review does what is left to do for one pull request.
func (r *Reviewer) review(ctx context.Context, c *gitea.Client, s subject) (again time.Duration, err error) {
	now, open, err := r.situation(c, s)
	if err != nil || !open {
		return 0, err
	}
	if now.base == "" {
		return soon, nil
	}
	statuses, _, err := c.GetCombinedStatus(r.forge.Organization, s.repository, now.head)
	if err != nil {
		return 0, fmt.Errorf("read the status of %s: %w", short(now.head), err)
	}
	before := now.find(statuses.Statuses, r.forge.Account)
	if before.done() {
		return 0, nil
	}
	log := r.log.With("repository", s.repository, "number", s.number, "head", short(now.head), "main", short(now.main))
	started := time.Now()
	verdict := &Verdict{}
	if before.attempts >= attempts {
		verdict = refusal("the check has ended %d times before it was done: it takes more memory or time than there is. Leave something out, or split it.", before.attempts)
	} else {
		if err := r.post(c, s, now, gitea.StatusPending, fmt.Sprintf("attempt %d: checking", before.attempts+1)); err != nil {
			return 0, err
		}
		if verdict, err = r.judge(ctx, c, s, now); err != nil {
			r.metrics.checks.WithLabelValues(resultFailed).Inc()
			// Left as it is, it would count as an attempt that ended with the process.
			return 0, errors.Join(err, r.post(c, s, now, gitea.StatusError, "could not check, tries again: "+oneLine(err.Error())))
		}
	}
	// What has changed meanwhile is judged before anything is said of it.
	if later, open, err := r.situation(c, s); err != nil || !open || later != now {
		log.Info("has changed meanwhile")
		return soon, err
	}
	if err := r.forge.Comment(c, s.repository, s.number, guard.Marker, verdict.Comment+now.footer()); err != nil {
		return 0, err
	}
	state := gitea.StatusFailure
	if verdict.Passed {
		state = gitea.StatusSuccess
	}
	if err := r.post(c, s, now, state, verdict.Summary); err != nil {
		return 0, err
	}
	r.metrics.judged(verdict, time.Since(started))
	log.Info("judged", "passed", verdict.Passed, "summary", verdict.Summary, "seconds", time.Since(started).Seconds())
	return 0, nil
}

// situation is how a pull request stands. Its base is empty as long as the forge has
// not found out. Closed ones, and those for another branch, are nobody's concern.
func (r *Reviewer) situation(c *gitea.Client, s subject) (now situation, open bool, err error) {
	p, response, err := c.GetPullRequest(r.forge.Organization, s.repository, s.number)
	switch {
	case forgeapi.IsGone(response):
		return now, false, nil
	case err != nil:
		return now, false, fmt.Errorf("read the pull request: %w", err)
	case p.State != gitea.StateOpen || p.Base == nil || p.Base.Ref != branch || p.Head == nil || p.Head.Sha == "":
		return now, false, nil
	}
	main, _, err := c.GetRepoBranch(r.forge.Organization, s.repository, branch)
	if err != nil || main.Commit == nil {
		return now, false, errors.Join(fmt.Errorf("read the branch %s", branch), err)
	}
	now = situation{head: p.Head.Sha, main: main.Commit.ID, rules: r.rules}
	for _, of := range []string{now.head, now.main} {
		below, err := r.below(c, s.repository, p.MergeBase, of)
		if err != nil || !below {
			return now, true, err
		}
	}
	now.base = p.MergeBase
	return now, true, nil
}

// below is whether a commit has another one before it. What the forge says both began
// as is of another moment for a while after one of them has changed.
func (r *Reviewer) below(c *gitea.Client, repository, commit, of string) (bool, error) {
	if commit == "" || commit == of {
		return commit == of, nil
	}
	more, response, err := c.CompareCommits(r.forge.Organization, repository, of, commit)
	switch {
	case forgeapi.IsGone(response):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("compare %s with %s: %w", short(of), short(commit), err)
	}
	return more.TotalCommits == 0, nil
}

// judge checks what the pull request would make of main.
func (r *Reviewer) judge(ctx context.Context, c *gitea.Client, s subject, now situation) (*Verdict, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	j, err := r.job(ctx, c, s, now)
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
func (r *Reviewer) trees(c *gitea.Client, s subject, now situation) (after, before tree, err error) {
	trees := map[string]tree{}
	for _, commit := range []string{now.main, now.base, now.head} {
		if trees[commit] != nil {
			continue
		}
		if trees[commit], err = treeOf(c, r.forge.Organization, s.repository, commit); err != nil {
			return nil, nil, err
		}
	}
	after, both := merged(trees[now.base], trees[now.main], trees[now.head])
	if len(both) > 0 {
		return nil, nil, changedTwice(both)
	}
	return after, trees[now.main], nil
}

func (r *Reviewer) job(ctx context.Context, c *gitea.Client, s subject, now situation) (*Job, error) {
	after, before, err := r.trees(c, s, now)
	if err != nil {
		return nil, err
	}
	r.digests.put(now.id(), after.digest())
	j := &Job{Repository: s.repository}
	known := map[string][]byte{}
	if j.After, err = snapshot(ctx, c, r.forge.Organization, s.repository, "pull request "+fmt.Sprint(s.number), after, known); err != nil {
		return nil, err
	}
	if j.Before, err = snapshot(ctx, c, r.forge.Organization, s.repository, branch+" at "+short(now.main), before, known); err != nil {
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
	return fmt.Sprintf("\n---\n%s as it would be merged into %s at %s\n", short(s.head), branch, short(s.main))
}

func (r *Reviewer) post(c *gitea.Client, s subject, now situation, state gitea.StatusState, text string) error {
	_, _, err := c.CreateStatus(r.forge.Organization, s.repository, now.head, gitea.CreateStatusOption{
		State: state, Context: Context, Description: now.describe(text),
	})
	if err != nil {
		return fmt.Errorf("post the status %s of %s: %w", state, short(now.head), err)
	}
	return nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
