package relocate

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"
	api "github.com/google/go-github/v75/github"

	hub "github.com/neuroscale-platform/neuroscale/components/forge/github"
	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	giteaapi "github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/github"
)

// Gitea is the forge in the cluster.
type Gitea struct {
	// URL at which people reach it, and Authority of its certificate.
	URL, Authority string
	Organization   string
	// Username and Password of an administrator.
	Username, Password string
	HTTP               *http.Client
}

func (g *Gitea) String() string { return "Gitea" }

// Remote implements Forge.
func (g *Gitea) Remote(repository string) git.Remote {
	return git.Remote{
		URL:      fmt.Sprintf("%s/%s/%s.git", strings.TrimRight(g.URL, "/"), g.Organization, repository),
		Username: g.Username, Password: g.Password, Authority: g.Authority,
	}
}

func (g *Gitea) client(ctx context.Context) (*gitea.Client, error) {
	// No version: it is pinned, so nobody has to ask.
	return gitea.NewClient(strings.TrimRight(g.URL, "/"), gitea.SetGiteaVersion(""), gitea.SetContext(ctx), gitea.SetHTTPClient(g.HTTP), gitea.SetBasicAuth(g.Username, g.Password))
}

// Open implements Forge.
func (g *Gitea) Open(ctx context.Context, repository string) ([]int64, error) {
	c, err := g.client(ctx)
	if err != nil {
		return nil, err
	}
	const size = 50
	var all []int64
	for page := 1; ; page++ {
		list, _, err := c.ListRepoPullRequests(g.Organization, repository, gitea.ListPullRequestsOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: size}, State: gitea.StateOpen})
		if err != nil {
			return nil, fmt.Errorf("list the pull requests: %w", err)
		}
		for _, p := range list {
			all = append(all, p.Index)
		}
		if len(list) < size {
			return all, nil
		}
	}
}

// Make implements Forge.
func (g *Gitea) Make(ctx context.Context, repository string) (bool, error) {
	c, err := g.client(ctx)
	if err != nil {
		return false, err
	}
	_, response, err := c.GetRepo(g.Organization, repository)
	if err == nil || !giteaapi.IsGone(response) {
		return false, err
	}
	if _, _, err := c.CreateOrgRepo(g.Organization, gitea.CreateRepoOption{Name: repository, Private: true, DefaultBranch: forgeapi.Branch}); err != nil {
		return false, fmt.Errorf("make repository %s/%s: %w", g.Organization, repository, err)
	}
	return true, nil
}

// patience is how long is waited for GitHub to take requests again.
const patience = time.Minute

// GitHub is GitHub.
type GitHub struct {
	// Git is where repositories are cloned from; empty means github.com.
	Git          string
	Organization string
	Token        string

	c *api.Client
}

// NewGitHub asks with a token at a URL of the API; empty means that of github.com.
func NewGitHub(url, organization, token string) (*GitHub, error) {
	c, err := github.NewClient(github.Access{URL: url, Token: func() (string, error) { return token, nil }, Patience: patience})
	return &GitHub{Organization: organization, Token: token, c: c}, err
}

func (g *GitHub) String() string { return "GitHub" }

// Remote implements Forge.
func (g *GitHub) Remote(repository string) git.Remote {
	at := hub.URL(g.Organization)
	if g.Git != "" {
		at = g.Git + "/" + g.Organization
	}
	return git.Remote{URL: at + "/" + repository + ".git", Username: hub.TokenUser, Password: g.Token}
}

// Open implements Forge.
func (g *GitHub) Open(ctx context.Context, repository string) ([]int64, error) {
	var all []int64
	for options := (&api.PullRequestListOptions{State: "open", ListOptions: api.ListOptions{PerPage: 100}}); ; {
		list, response, err := g.c.PullRequests.List(ctx, g.Organization, repository, options)
		if err != nil {
			return nil, fmt.Errorf("list the pull requests: %w", github.Explain(err))
		}
		for _, p := range list {
			all = append(all, int64(p.GetNumber()))
		}
		if options.Page = response.NextPage; options.Page == 0 {
			return all, nil
		}
	}
}

// Make implements Forge.
func (g *GitHub) Make(ctx context.Context, repository string) (bool, error) {
	_, _, err := g.c.Repositories.Get(ctx, g.Organization, repository)
	if err == nil || !github.IsGone(err) {
		return false, github.Explain(err)
	}
	user, _, err := g.c.Users.Get(ctx, "")
	if err != nil {
		return false, github.Explain(err)
	}
	owner := g.Organization
	if strings.EqualFold(user.GetLogin(), owner) {
		owner = "" // an account makes its own
	}
	if _, _, err := g.c.Repositories.Create(ctx, owner, &api.Repository{Name: &repository, Private: api.Ptr(true), AutoInit: api.Ptr(false)}); err != nil {
		return false, fmt.Errorf("make repository %s/%s: %w", g.Organization, repository, github.Explain(err))
	}
	return true, nil
}
