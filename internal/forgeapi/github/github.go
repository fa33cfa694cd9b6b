// Package github asks GitHub what the guard and the follower need to know.
package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v75/github"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	hub "github.com/neuroscale-platform/neuroscale/internal/github"
)

const (
	// patience is how long a request waits for GitHub to take it.
	patience = time.Minute
	// poll is how often GitHub is asked whether something has happened, but not more
	// often than perRepository for each.
	poll          = 5 * time.Second
	perRepository = 500 * time.Millisecond
	// perPage are the most that GitHub puts into one answer.
	perPage = 100
	// mostBases is how many are remembered.
	mostBases = 1000
)

// Args of a Forge.
type Args struct {
	// URL of the API; empty means that of github.com.
	URL string
	// Organization owns the repositories: an organization or an account.
	Organization string
	// Token of the account that asks.
	Token func() (string, error)
	// Poll is how often GitHub is asked whether something has happened; 0 means every
	// few seconds.
	Poll time.Duration
	// Transport makes the requests; nil means internal/github's own.
	Transport http.RoundTripper
}

// Forge is GitHub's API for one account and one organization.
type Forge struct {
	log          *slog.Logger
	organization string
	token        func() (string, error)
	poll         time.Duration
	c            *github.Client

	mu sync.Mutex
	// login is whose token that of tokenOf is.
	login, tokenOf string
	// bases are what two commits began as, which stays the same.
	bases map[[2]string]string
}

// New is GitHub as a token's account sees an organization there.
func New(log *slog.Logger, args Args) (*Forge, error) {
	c, err := hub.NewClient(hub.Access{URL: args.URL, Token: args.Token, Patience: patience, Next: args.Transport})
	if err != nil {
		return nil, err
	}
	return &Forge{log: log, organization: args.Organization, token: args.Token, poll: cmp.Or(args.Poll, poll), c: c, bases: map[[2]string]string{}}, nil
}

// account is whose token it is.
func (f *Forge) account(ctx context.Context) (string, error) {
	token, err := f.token()
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.login != "" && f.tokenOf == token {
		return f.login, nil
	}
	u, _, err := f.c.Users.Get(ctx, "")
	if err != nil {
		return "", fmt.Errorf("find out whose token it is: %w", hub.Explain(err))
	}
	f.login, f.tokenOf = u.GetLogin(), token
	return f.login, nil
}

// Event implements forgeapi.Forge.
func (f *Forge) Event(key string, header http.Header, body []byte) (*forgeapi.Event, error) {
	signature := header.Get(github.SHA256SignatureHeader)
	if !strings.HasPrefix(signature, "sha256=") || github.ValidateSignature(signature, body, []byte(key)) != nil {
		return nil, forgeapi.ErrUnsigned
	}
	type account struct {
		Login string `json:"login"`
	}
	var sent struct {
		Number     int64   `json:"number"`
		Reference  string  `json:"ref"`
		Sender     account `json:"sender"`
		Repository struct {
			Name  string  `json:"name"`
			Owner account `json:"owner"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, err
	}
	f.mu.Lock()
	own := f.login != "" && strings.EqualFold(sent.Sender.Login, f.login)
	f.mu.Unlock()
	e := &forgeapi.Event{Kind: header.Get(github.EventTypeHeader), Number: sent.Number, Reference: sent.Reference, Own: own}
	if strings.EqualFold(sent.Repository.Owner.Login, f.organization) {
		// Names in the settings are in small letters, GitHub takes them in any.
		e.Repository = strings.ToLower(sent.Repository.Name)
	}
	return e, nil
}

// seen is what a repository was like when it was looked at.
type seen struct {
	main  string
	heads map[int64]string
}

// Watch asks again and again: GitHub may not reach a cluster. What has not changed since
// costs nothing of what GitHub lets a token ask.
func (f *Forge) Watch(ctx context.Context, repositories []string, heard func(forgeapi.Event)) {
	every := max(f.poll, time.Duration(len(repositories))*perRepository)
	known, complained := map[string]*seen{}, map[string]string{}
	for {
		wait := every
		for _, repository := range repositories {
			now, err := f.look(ctx, repository)
			if ctx.Err() != nil {
				return
			}
			var limited *forgeapi.Limited
			if errors.As(err, &limited) {
				f.log.Warn("waits for the forge", "until", limited.Until)
				wait = max(wait, time.Until(limited.Until))
				break
			}
			if err != nil {
				// What has happened meanwhile is found when it answers.
				if complained[repository] != err.Error() {
					f.log.Warn("cannot look whether something has happened", "repository", repository, "error", err)
				}
				complained[repository] = err.Error()
				continue
			}
			delete(complained, repository)
			changes(repository, known[repository], now, heard)
			known[repository] = now
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look is what a repository is like.
func (f *Forge) look(ctx context.Context, repository string) (*seen, error) {
	main, err := f.Head(ctx, repository)
	if err != nil {
		return nil, err
	}
	pulls, err := f.open(ctx, repository)
	if err != nil {
		return nil, err
	}
	now := &seen{main: main, heads: map[int64]string{}}
	for _, p := range pulls {
		now.heads[int64(p.GetNumber())] = p.GetHead().GetSHA()
	}
	return now, nil
}

// changes are what makes now of before.
func changes(repository string, before, now *seen, heard func(forgeapi.Event)) {
	if before == nil || before.main != now.main {
		heard(forgeapi.Pushed(repository))
	}
	if before == nil {
		return
	}
	for number, head := range now.heads {
		if before.heads[number] != head {
			heard(forgeapi.Event{Kind: forgeapi.PullRequest, Repository: repository, Number: number})
		}
	}
	for number := range before.heads {
		if _, open := now.heads[number]; !open {
			heard(forgeapi.Event{Kind: forgeapi.PullRequest, Repository: repository, Number: number})
		}
	}
}

func (f *Forge) open(ctx context.Context, repository string) ([]*github.PullRequest, error) {
	var all []*github.PullRequest
	options := &github.PullRequestListOptions{State: "open", Base: forgeapi.Branch, Sort: "created", Direction: "asc", ListOptions: github.ListOptions{PerPage: perPage}}
	for {
		list, response, err := f.c.PullRequests.List(ctx, f.organization, repository, options)
		if err != nil {
			return nil, fmt.Errorf("list the pull requests: %w", hub.Explain(err))
		}
		all = append(all, list...)
		if options.Page = response.NextPage; options.Page == 0 {
			return all, nil
		}
	}
}

// Open implements forgeapi.Forge.
func (f *Forge) Open(ctx context.Context, repository string) ([]int64, error) {
	pulls, err := f.open(ctx, repository)
	var all []int64
	for _, p := range pulls {
		all = append(all, int64(p.GetNumber()))
	}
	return all, err
}

// Pull implements forgeapi.Forge.
func (f *Forge) Pull(ctx context.Context, repository string, number int64) (*forgeapi.Pull, error) {
	p, _, err := f.c.PullRequests.Get(ctx, f.organization, repository, int(number))
	switch {
	case hub.IsGone(err):
		return &forgeapi.Pull{}, nil
	case err != nil:
		return nil, fmt.Errorf("read the pull request: %w", hub.Explain(err))
	case p.GetState() != "open" || p.GetBase().GetRef() != forgeapi.Branch || p.GetHead().GetSHA() == "":
		return &forgeapi.Pull{}, nil
	}
	now := &forgeapi.Pull{Open: true, Head: p.GetHead().GetSHA()}
	if now.Main, err = f.Head(ctx, repository); err != nil {
		return nil, err
	}
	now.Base, err = f.base(ctx, repository, now.Main, now.Head)
	return now, err
}

// base is what two commits began as.
func (f *Forge) base(ctx context.Context, repository, main, head string) (string, error) {
	of := [2]string{main, head}
	f.mu.Lock()
	known := f.bases[of]
	f.mu.Unlock()
	if known != "" {
		return known, nil
	}
	compared, _, err := f.c.Repositories.CompareCommits(ctx, f.organization, repository, main, head, &github.ListOptions{PerPage: 1})
	if err != nil {
		return "", fmt.Errorf("compare %s with %s: %w", main, head, hub.Explain(err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.bases) >= mostBases {
		f.bases = map[[2]string]string{}
	}
	f.bases[of] = compared.GetMergeBaseCommit().GetSHA()
	return f.bases[of], nil
}

// Merged implements forgeapi.Forge.
func (f *Forge) Merged(ctx context.Context, repository string, most int) ([]forgeapi.Merged, error) {
	list, _, err := f.c.PullRequests.List(ctx, f.organization, repository, &github.PullRequestListOptions{
		State: "closed", Base: forgeapi.Branch, Sort: "updated", Direction: "desc", ListOptions: github.ListOptions{PerPage: most},
	})
	if err != nil {
		return nil, fmt.Errorf("list what was merged: %w", hub.Explain(err))
	}
	var all []forgeapi.Merged
	for _, p := range list {
		if p.MergedAt != nil {
			all = append(all, forgeapi.Merged{
				Number: int64(p.GetNumber()), Author: p.GetUser().GetLogin(), Commit: p.GetMergeCommitSHA(), At: p.GetMergedAt().Time,
			})
		}
	}
	return all, nil
}

// Changed implements forgeapi.Forge.
func (f *Forge) Changed(ctx context.Context, repository string, number int64) ([]string, error) {
	var all []string
	for options := (&github.ListOptions{PerPage: perPage}); ; {
		files, response, err := f.c.PullRequests.ListFiles(ctx, f.organization, repository, int(number), options)
		if err != nil {
			return nil, fmt.Errorf("list the files of pull request %d: %w", number, hub.Explain(err))
		}
		for _, file := range files {
			all = append(all, file.GetFilename())
			if before := file.GetPreviousFilename(); before != "" {
				all = append(all, before)
			}
		}
		if options.Page = response.NextPage; options.Page == 0 {
			return all, nil
		}
	}
}

// Comment implements forgeapi.Forge.
func (f *Forge) Comment(ctx context.Context, repository string, number int64, marker, body string) error {
	account, err := f.account(ctx)
	if err != nil {
		return err
	}
	for options := (&github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: perPage}}); ; {
		list, response, err := f.c.Issues.ListComments(ctx, f.organization, repository, int(number), options)
		if err != nil {
			return fmt.Errorf("read the comments: %w", hub.Explain(err))
		}
		for _, each := range list {
			if each.GetUser().GetLogin() != account || !strings.HasPrefix(each.GetBody(), marker) {
				continue
			}
			if each.GetBody() == body {
				return nil
			}
			if _, _, err := f.c.Issues.EditComment(ctx, f.organization, repository, each.GetID(), &github.IssueComment{Body: &body}); err != nil {
				return fmt.Errorf("change the comment: %w", hub.Explain(err))
			}
			return nil
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	if _, _, err := f.c.Issues.CreateComment(ctx, f.organization, repository, int(number), &github.IssueComment{Body: &body}); err != nil {
		return fmt.Errorf("comment: %w", hub.Explain(err))
	}
	return nil
}

// Head implements forgeapi.Forge.
func (f *Forge) Head(ctx context.Context, repository string) (string, error) {
	ref, _, err := f.c.Git.GetRef(ctx, f.organization, repository, "heads/"+forgeapi.Branch)
	if err != nil {
		return "", fmt.Errorf("read the branch %s: %w", forgeapi.Branch, hub.Explain(err))
	}
	return ref.GetObject().GetSHA(), nil
}

// Contains implements forgeapi.Forge.
func (f *Forge) Contains(ctx context.Context, repository, of, commit string) (bool, error) {
	if of == commit {
		return true, nil
	}
	compared, _, err := f.c.Repositories.CompareCommits(ctx, f.organization, repository, of, commit, &github.ListOptions{PerPage: 1})
	switch {
	case hub.IsGone(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("compare %s with %s: %w", of, commit, hub.Explain(err))
	}
	return compared.GetStatus() != "diverged" && compared.GetAheadBy() == 0, nil
}

// Tree implements forgeapi.Forge.
func (f *Forge) Tree(ctx context.Context, repository, commit string, most int) ([]forgeapi.Entry, error) {
	got, _, err := f.c.Git.GetTree(ctx, f.organization, repository, commit, true)
	if err != nil {
		return nil, hub.Explain(err)
	}
	if got.GetTruncated() || len(got.Entries) > most {
		return nil, forgeapi.TooMany(max(len(got.Entries), most+1))
	}
	var all []forgeapi.Entry
	for _, e := range got.Entries {
		if e.GetType() != "tree" {
			all = append(all, forgeapi.Entry{Path: e.GetPath(), SHA: e.GetSHA(), Mode: e.GetMode(), Size: int64(e.GetSize())})
		}
	}
	return all, nil
}

// Blob implements forgeapi.Forge.
func (f *Forge) Blob(ctx context.Context, repository, sha string) ([]byte, error) {
	data, _, err := f.c.Git.GetBlobRaw(ctx, f.organization, repository, sha)
	if err != nil {
		return nil, hub.Explain(err)
	}
	return data, nil
}

// Has implements forgeapi.Forge.
func (f *Forge) Has(ctx context.Context, repository, commit, folder string) (bool, error) {
	_, list, _, err := f.c.Repositories.GetContents(ctx, f.organization, repository, folder, &github.RepositoryContentGetOptions{Ref: commit})
	switch {
	case hub.IsGone(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for folder %s: %w", folder, hub.Explain(err))
	}
	return list != nil, nil
}

// Newest implements forgeapi.Forge.
func (f *Forge) Newest(ctx context.Context, repository, commit, context string, own bool) (*forgeapi.Status, error) {
	account, err := f.account(ctx)
	if err != nil {
		return nil, err
	}
	// The combined status does not say who has said it.
	for options := (&github.ListOptions{PerPage: perPage}); ; {
		list, response, err := f.c.Repositories.ListStatuses(ctx, f.organization, repository, commit, options)
		if err != nil {
			return nil, hub.Explain(err)
		}
		var newest *github.RepoStatus
		for _, each := range list {
			if each.GetContext() == context && (!own || each.GetCreator().GetLogin() == account) && (newest == nil || each.GetID() > newest.GetID()) {
				newest = each
			}
		}
		// Newest first.
		if newest != nil {
			return &forgeapi.Status{
				State: newest.GetState(), Context: context, Description: newest.GetDescription(), Own: newest.GetCreator().GetLogin() == account,
			}, nil
		}
		if options.Page = response.NextPage; options.Page == 0 {
			return nil, nil
		}
	}
}

// Say implements forgeapi.Forge.
func (f *Forge) Say(ctx context.Context, repository, commit string, s forgeapi.Status) error {
	_, _, err := f.c.Repositories.CreateStatus(ctx, f.organization, repository, commit, &github.RepoStatus{
		State: &s.State, Context: &s.Context, Description: &s.Description,
	})
	if err != nil {
		return hub.Explain(err)
	}
	return nil
}
