package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"

	giteaapi "github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// ExampleModel is what the endpoints that are made to be measured serve.
const ExampleModel = "gs://kfserving-examples/models/sklearn/1.0/model"

// walks is how often the golden path is walked: in turn from the portal's form, if
// there is one, and from the command line.
const walks = 6

// walkPatience is how long each step of a walk may take.
const walkPatience = 2 * time.Minute

// golden walks the path from somebody who asks for an endpoint to its prediction.
type golden struct {
	*Platform
	samples                  Samples
	member, admin            *gitea.Client
	organization, repository string
	// names of the endpoints, and titles of the pull requests that ask for them.
	names, titles []string
	pulls         []int64
	// remarks are what has to be said of the samples.
	remarks []string
	// patience is how long it may take to remove all of that.
	patience time.Duration
}

// people are those who do that: the member, and the administrator who tidies up.
func people(ctx context.Context, p *Platform) (*golden, error) {
	if p.Member.Name == "" {
		return nil, errors.New("the first tenant has nobody who proposes and merges: add a member to neuroscale:tenants[].members")
	}
	forge, organization, repository, err := forgeOf(p.Repository.URL)
	if err != nil {
		return nil, err
	}
	g := &golden{Platform: p, samples: Samples{}, organization: organization, repository: repository, patience: walkPatience}
	if g.member, err = client(ctx, forge, p.HTTP, p.Member); err != nil {
		return nil, err
	}
	g.admin, err = client(ctx, forge, p.HTTP, Account{p.Repository.Username, p.Repository.Password})
	return g, err
}

// goldenPath has a member ask for endpoints, one after another, and merges each when
// the guard has passed it. Everything it makes is gone afterwards.
func goldenPath(ctx context.Context, p *Platform) (_ Samples, note string, err error) {
	// After ctrl-C too: nothing may stay behind.
	lasting := context.WithoutCancel(ctx)
	g, err := people(lasting, p)
	if err != nil {
		return nil, "", err
	}
	for i := range walks {
		name := fmt.Sprintf("bench-walk-%d", i+1)
		g.names, g.titles = append(g.names, name), append(g.titles, "Add "+name)
	}
	// What one that was killed has left.
	if err := g.tidy(lasting); err != nil {
		return nil, "", err
	}
	defer func() {
		if e := g.tidy(lasting); e != nil {
			err = errors.Join(err, &leftError{e})
		}
	}()
	var form Form
	if p.SignIn != nil {
		if form, err = p.SignIn(ctx); err != nil {
			return nil, "", err
		}
	}
	for i, name := range g.names {
		target, ask := "propose", Form(g.command)
		if form != nil && i%2 == 0 {
			target, ask = "form", form
		}
		if err := g.walk(ctx, name, target, ask); err != nil {
			return g.samples, "", fmt.Errorf("walk %d, by %s: %w", i+1, target, err)
		}
		if err := p.withdraw(ctx, name); err != nil {
			return g.samples, "", fmt.Errorf("walk %d, by %s: %w", i+1, target, err)
		}
	}
	return g.samples, "one endpoint after another, by a member; what the status took counts from when the pull request's URL was there", nil
}

// command asks for an endpoint as people do who type.
func (g *golden) command(ctx context.Context, name string) (string, error) {
	out, err := g.Self(ctx, "new", "endpoint", name, "--propose", "--as", g.Member.Name, "--storage-uri", ExampleModel)
	return strings.TrimSpace(string(out)), err
}

func (g *golden) walk(ctx context.Context, name, target string, ask Form) error {
	var page string
	err := g.step(ctx, target, func(ctx context.Context) (err error) {
		page, err = ask(ctx, name)
		return err
	})
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(path.Base(page), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no URL of a pull request", page)
	}
	g.pulls = append(g.pulls, number)
	if err := g.step(ctx, "status", func(ctx context.Context) error { return g.awaitStatus(ctx, number) }); err != nil {
		return err
	}
	host := predict.Host(name, g.Namespace, g.Domain)
	return g.step(ctx, "merge", func(ctx context.Context) error {
		if err := g.merge(ctx, number); err != nil {
			return err
		}
		return predict.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			_, err := predict.Do(ctx, g.HTTP, g.request(name, host))
			return err
		})
	})
}

// step times a part of a walk.
func (g *golden) step(ctx context.Context, target string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, walkPatience)
	defer cancel()
	took, err := timed(func() error { return do(ctx) })
	if err == nil {
		g.samples[target] = append(g.samples[target], took)
	}
	return err
}

// awaitStatus waits until the guard has passed a pull request.
func (g *golden) awaitStatus(ctx context.Context, number int64) error {
	pull, _, err := g.member.GetPullRequest(g.organization, g.repository, number)
	if err != nil || pull.Head == nil {
		return errors.Join(fmt.Errorf("read pull request %d", number), err)
	}
	var refused error
	err = predict.Poll(ctx, 100*time.Millisecond, func(context.Context) error {
		combined, _, err := g.member.GetCombinedStatus(g.organization, g.repository, pull.Head.Sha)
		if err != nil {
			return fmt.Errorf("read the status of pull request %d: %w", number, err)
		}
		for _, each := range combined.Statuses {
			switch {
			case each.Context != reviewer.Context:
			case each.State == gitea.StatusSuccess:
				return nil
			case each.State == gitea.StatusFailure:
				refused = fmt.Errorf("the guard refused pull request %d: %s", number, each.Description)
				return nil
			}
		}
		return fmt.Errorf("the guard has not judged pull request %d: %w", number, errStill)
	})
	return errors.Join(err, refused)
}

// merge merges a pull request. The forge looks first whether there are conflicts.
func (g *golden) merge(ctx context.Context, number int64) error {
	return predict.Poll(ctx, 100*time.Millisecond, func(context.Context) error {
		merged, response, err := g.member.MergePullRequest(g.organization, g.repository, number, gitea.MergePullRequestOption{Style: gitea.MergeStyleMerge})
		switch {
		case err != nil:
			return fmt.Errorf("merge pull request %d as %s: %w", number, g.Member.Name, err)
		case !merged:
			return fmt.Errorf("merge pull request %d as %s: the forge answers %s", number, g.Member.Name, response.Status)
		}
		return nil
	})
}

// tidy removes all endpoints, and the pull requests by which they were asked for.
func (g *golden) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	return errors.Join(g.withdraw(ctx, g.names...), g.deletePulls())
}

func (g *golden) deletePulls() error {
	open, _, err := g.admin.ListRepoPullRequests(g.organization, g.repository, gitea.ListPullRequestsOptions{State: gitea.StateOpen, Sort: "recentupdate"})
	if err != nil {
		return fmt.Errorf("list the pull requests: %w", err)
	}
	numbers := slices.Clone(g.pulls)
	for _, each := range open {
		if slices.Contains(g.titles, each.Title) && each.Poster != nil && each.Poster.UserName == g.Member.Name && !slices.Contains(numbers, each.Index) {
			numbers = append(numbers, each.Index)
		}
	}
	var failed error
	for _, number := range numbers {
		if response, err := g.admin.DeleteIssue(g.organization, g.repository, number); err != nil && !giteaapi.IsGone(response) {
			failed = errors.Join(failed, fmt.Errorf("delete pull request %d: %w", number, err))
		}
	}
	if failed == nil {
		g.pulls = nil
	}
	return failed
}

// withdraw removes endpoints from main, those of them that are there, and waits until
// nothing runs of them.
func (p *Platform) withdraw(ctx context.Context, names ...string) error {
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return fmt.Errorf("create a folder for the clone: %w", err)
	}
	defer os.RemoveAll(dir)
	checkout, err := git.Clone(ctx, p.Repository, author, dir)
	if err != nil {
		return err
	}
	var there []string
	for _, name := range names {
		folder := filepath.Join(checkout.Dir, "apps", name)
		if _, err := os.Stat(folder); err != nil {
			continue
		}
		there = append(there, name)
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove endpoint %s: %w", name, err)
		}
	}
	if len(there) > 0 {
		if err := checkout.Commit(ctx, "Remove "+strings.Join(there, ", ")); err != nil {
			return err
		}
		if err := checkout.Push(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := p.gone(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// forgeOf are the forge's URL, the organization and the repository of what is cloned
// from FORGE/ORGANIZATION/REPOSITORY.git.
func forgeOf(repository string) (forge, organization, name string, err error) {
	u, err := url.Parse(repository)
	if err != nil || u.Host == "" {
		return "", "", "", fmt.Errorf("the repository %q has no URL of a forge", repository)
	}
	rest, name := path.Split(strings.TrimSuffix(u.Path, ".git"))
	rest, organization = path.Split(strings.TrimSuffix(rest, "/"))
	if name == "" || organization == "" {
		return "", "", "", fmt.Errorf("the repository %q does not end in /ORGANIZATION/NAME.git", repository)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(rest, "/")}).String(), organization, name, nil
}

// client is the forge's API for an account.
func client(ctx context.Context, forge string, http *http.Client, account Account) (*gitea.Client, error) {
	// No version: it is pinned, so nobody has to ask.
	c, err := gitea.NewClient(forge, gitea.SetGiteaVersion(""), gitea.SetContext(ctx), gitea.SetHTTPClient(http), gitea.SetBasicAuth(account.Name, account.Password))
	if err != nil {
		return nil, fmt.Errorf("the forge at %s: %w", forge, err)
	}
	return c, nil
}
