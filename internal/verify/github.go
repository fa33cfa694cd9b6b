package verify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/google/go-github/v75/github"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	hubforge "github.com/neuroscale-platform/neuroscale/components/forge/github"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// hub is GitHub as the guard sees it.
type hub struct {
	c            *api.Client
	organization string
	token        string
}

// newHub asks with the guard's token, which is in the cluster: nobody has to have one
// who asks whether the platform is well.
func (p *Platform) newHub(ctx context.Context) (*hub, error) {
	o, err := p.get(ctx, kube.Secrets, reviews.Namespace, reviews.SecretName)
	if err != nil {
		return nil, fmt.Errorf("find the guard's token for GitHub: %w", err)
	}
	if o == nil {
		return nil, fmt.Errorf("Secret %s/%s with the guard's token for GitHub is not there: `neuroscale up` makes it", reviews.Namespace, reviews.SecretName)
	}
	token, err := base64.StdEncoding.DecodeString(kube.Text(o.Object, "data", "password"))
	if err != nil {
		return nil, fmt.Errorf("the guard's token for GitHub in Secret %s/%s: %w", reviews.Namespace, reviews.SecretName, err)
	}
	c, err := github.NewClient(github.Access{URL: p.GitHub, Token: func() (string, error) { return string(token), nil }})
	return &hub{c, p.Config.Forge.Organization, string(token)}, err
}

// onGitHub asks about each of people's repositories.
func (p *Platform) onGitHub(ctx context.Context, ask func(g *hub, repository string) error) error {
	g, err := p.newHub(ctx)
	if err != nil {
		return err
	}
	return every(p.Config.Repositories(), func(repository string) error {
		if err := ask(g, repository); err != nil {
			return fmt.Errorf("repository %s on GitHub: %w", repository, err)
		}
		return nil
	})
}

func (g *hub) remote(repository string) git.Remote {
	return git.Remote{URL: hubforge.URL(g.organization) + "/" + repository + ".git", Username: hubforge.TokenUser, Password: g.token}
}

func (g *hub) answers(ctx context.Context, repository string) error {
	_, _, err := g.c.Repositories.Get(ctx, g.organization, repository)
	return github.Explain(err)
}

// demandsTheGuard is whether nothing becomes main without the guard's status, as far as
// GitHub says that to who may only read.
func (g *hub) demandsTheGuard(ctx context.Context, repository string) error {
	main, _, err := g.c.Repositories.GetBranch(ctx, g.organization, repository, forgeapi.Branch, 0)
	if err != nil {
		return github.Explain(err)
	}
	demanded := main.GetProtection().GetRequiredStatusChecks()
	var contexts []string
	if demanded.GetContexts() != nil {
		contexts = *demanded.Contexts
	}
	if !main.GetProtected() || !slices.Contains(contexts, reviewer.Context) {
		return fmt.Errorf("%s does not demand the status %s: `neuroscale up` has it demanded again", forgeapi.Branch, reviewer.Context)
	}
	return nil
}

// folders that may be endpoints.
func (g *hub) folders(ctx context.Context, repository string) ([]string, error) {
	_, list, _, err := g.c.Repositories.GetContents(ctx, g.organization, repository, endpoints.Folder, &api.RepositoryContentGetOptions{Ref: forgeapi.Branch})
	if err != nil && !github.IsGone(err) {
		return nil, fmt.Errorf("list the folders of repository %s: %w", repository, github.Explain(err))
	}
	var all []string
	for _, each := range list {
		if each.GetType() == "dir" {
			all = append(all, each.GetName())
		}
	}
	return all, nil
}

// guardJudgesOnGitHub looks at the open pull requests for main, the newest ones if there
// are many. Nobody tells the guard of them: it asks.
func (p *Platform) guardJudgesOnGitHub(ctx context.Context) (string, error) {
	var mu sync.Mutex
	total := 0
	err := p.onGitHub(ctx, func(g *hub, repository string) error {
		pulls, _, err := g.c.PullRequests.List(ctx, g.organization, repository, &api.PullRequestListOptions{
			State: "open", Base: forgeapi.Branch, ListOptions: api.ListOptions{PerPage: 50},
		})
		if err != nil {
			return github.Explain(err)
		}
		mu.Lock()
		total += len(pulls)
		mu.Unlock()
		var errs []error
		for _, pull := range pulls {
			errs = append(errs, g.isJudged(ctx, repository, pull))
		}
		return errors.Join(errs...)
	})
	return fmt.Sprintf("the guard asks GitHub about %s, and %s judged", strings.Join(p.Config.Repositories(), ", "), count(total, "open pull request")), err
}

func (g *hub) isJudged(ctx context.Context, repository string, pull *api.PullRequest) error {
	if time.Since(pull.GetUpdatedAt().Time) <= judgeWithin {
		return nil
	}
	// Newest first.
	statuses, _, err := g.c.Repositories.ListStatuses(ctx, g.organization, repository, pull.GetHead().GetSHA(), &api.ListOptions{PerPage: 100})
	if err != nil {
		return github.Explain(err)
	}
	said := "nothing"
	if i := slices.IndexFunc(statuses, func(s *api.RepoStatus) bool { return s.GetContext() == reviewer.Context }); i >= 0 {
		said = statuses[i].GetState()
	}
	if said == forgeapi.Success || said == forgeapi.Failure {
		return nil
	}
	return fmt.Errorf("the guard says %s of pull request %d, since %s", said, pull.GetNumber(), pull.GetUpdatedAt().Format(time.RFC3339))
}
