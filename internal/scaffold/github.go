package scaffold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	api "github.com/google/go-github/v75/github"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/github"
)

const (
	// forkPatience is how long GitHub may take to make a fork, which it looks for every
	// forkLook.
	forkPatience = 2 * time.Minute
	forkLook     = time.Second
	// limitPatience is how long is waited for GitHub to take requests again.
	limitPatience = time.Minute
)

// ProposeOnGitHub makes a branch with the endpoint's folder, as whoever a client's token
// is of, and returns the URL of the pull request that it opens of it. The branch is the
// repository's, or a fork's if that person may not write there. To propose again what is
// still open changes that pull request. Proposal.Merge is not looked at.
func ProposeOnGitHub(ctx context.Context, access github.Access, owner, repository string, p Proposal) (string, error) {
	access.Patience = limitPatience
	c, err := github.NewClient(access)
	if err != nil {
		return "", err
	}
	h := &hub{c: c, owner: owner, repository: repository, into: owner, name: repository}
	url, err := h.propose(ctx, p)
	if err != nil {
		return "", fmt.Errorf("propose to %s/%s on GitHub: %w", owner, repository, github.Explain(err))
	}
	return url, nil
}

// hub is a repository on GitHub, and the one that branches of it go into.
type hub struct {
	c                             *api.Client
	owner, repository, into, name string
	login                         string
}

func (h *hub) propose(ctx context.Context, p Proposal) (string, error) {
	user, _, err := h.c.Users.Get(ctx, "")
	if err != nil {
		return "", err
	}
	h.login = user.GetLogin()
	there, _, err := h.c.Repositories.Get(ctx, h.owner, h.repository)
	if err != nil {
		return "", err
	}
	folder := Folder + "/" + p.Name
	_, _, _, err = h.c.Repositories.GetContents(ctx, h.owner, h.repository, folder, &api.RepositoryContentGetOptions{Ref: forgeapi.Branch})
	switch {
	case err == nil:
		return "", fmt.Errorf("%s is there already: write another NAME, or change what is in it", folder)
	case !github.IsGone(err):
		return "", err
	}
	if !there.GetPermissions()["push"] {
		if err := h.fork(ctx); err != nil {
			return "", err
		}
	}
	// Of one person: nobody else's branch has that name.
	branch := h.login + "/" + p.topic()
	if err := h.push(ctx, branch, folder, p); err != nil {
		return "", err
	}
	return h.open(ctx, branch, p)
}

// fork makes a fork, or brings the one there is up to date.
func (h *hub) fork(ctx context.Context) error {
	made, _, err := h.c.Repositories.CreateFork(ctx, h.owner, h.repository, &api.RepositoryCreateForkOptions{DefaultBranchOnly: true})
	var accepted *api.AcceptedError
	if err != nil && !errors.As(err, &accepted) {
		return fmt.Errorf("%s may not write there, and a fork is not made: %w", h.login, github.Explain(err))
	}
	h.into, h.name = made.GetOwner().GetLogin(), made.GetName()
	ctx, cancel := context.WithTimeoutCause(ctx, forkPatience, fmt.Errorf("the fork %s/%s is not there after %s: run it again", h.into, h.name, forkPatience))
	defer cancel()
	tick := time.NewTicker(forkLook)
	defer tick.Stop()
	for {
		_, _, err := h.c.Git.GetRef(ctx, h.into, h.name, "heads/"+forgeapi.Branch)
		if err == nil {
			break
		}
		if !missing(err) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if _, _, err := h.c.Repositories.MergeUpstream(ctx, h.into, h.name, &api.RepoMergeUpstreamRequest{Branch: api.Ptr(forgeapi.Branch)}); err != nil {
		return fmt.Errorf("bring %s of the fork %s/%s up to date: %w", forgeapi.Branch, h.into, h.name, github.Explain(err))
	}
	return nil
}

// missing is whether something is not there, or has nothing in it yet.
func missing(err error) bool {
	var e *api.ErrorResponse
	return github.IsGone(err) || errors.As(err, &e) && e.Response != nil && e.Response.StatusCode == http.StatusConflict
}

// push makes a branch main and the folder.
func (h *hub) push(ctx context.Context, branch, folder string, p Proposal) error {
	base, _, err := h.c.Git.GetRef(ctx, h.into, h.name, "heads/"+forgeapi.Branch)
	if err != nil {
		return err
	}
	before, _, err := h.c.Git.GetCommit(ctx, h.into, h.name, base.GetObject().GetSHA())
	if err != nil {
		return err
	}
	var entries []*api.TreeEntry
	for _, file := range slices.Sorted(maps.Keys(p.Files)) {
		entries = append(entries, &api.TreeEntry{
			Path: api.Ptr(folder + "/" + file), Mode: api.Ptr("100644"), Type: api.Ptr("blob"), Content: api.Ptr(p.Files[file]),
		})
	}
	tree, _, err := h.c.Git.CreateTree(ctx, h.into, h.name, before.GetTree().GetSHA(), entries)
	if err != nil {
		return err
	}
	commit, _, err := h.c.Git.CreateCommit(ctx, h.into, h.name, api.Commit{
		Message: api.Ptr(p.title()), Tree: tree, Parents: []*api.Commit{{SHA: base.GetObject().SHA}},
	}, nil)
	if err != nil {
		return err
	}
	_, _, err = h.c.Git.UpdateRef(ctx, h.into, h.name, "heads/"+branch, api.UpdateRef{SHA: commit.GetSHA(), Force: api.Ptr(true)})
	if err != nil && absent(err) {
		_, _, err = h.c.Git.CreateRef(ctx, h.into, h.name, api.CreateRef{Ref: "refs/heads/" + branch, SHA: commit.GetSHA()})
	}
	return err
}

// absent is whether a branch is not there to be moved, which GitHub says as 422.
func absent(err error) bool {
	var e *api.ErrorResponse
	return missing(err) || errors.As(err, &e) && e.Response != nil && e.Response.StatusCode == http.StatusUnprocessableEntity && e.Message == "Reference does not exist"
}

// open opens the pull request of a branch, or gives the one there is the text.
func (h *hub) open(ctx context.Context, branch string, p Proposal) (string, error) {
	head := h.into + ":" + branch
	list, _, err := h.c.PullRequests.List(ctx, h.owner, h.repository, &api.PullRequestListOptions{State: "open", Head: head, Base: forgeapi.Branch})
	if err != nil {
		return "", err
	}
	if len(list) > 0 {
		pull, _, err := h.c.PullRequests.Edit(ctx, h.owner, h.repository, list[0].GetNumber(), &api.PullRequest{Title: api.Ptr(p.title()), Body: api.Ptr(p.Text)})
		return pull.GetHTMLURL(), err
	}
	pull, _, err := h.c.PullRequests.Create(ctx, h.owner, h.repository, &api.NewPullRequest{
		Title: api.Ptr(p.title()), Head: api.Ptr(head), Base: api.Ptr(forgeapi.Branch), Body: api.Ptr(p.Text),
	})
	return pull.GetHTMLURL(), err
}
