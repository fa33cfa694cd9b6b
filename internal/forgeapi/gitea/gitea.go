// Package gitea asks a Gitea what the guard and the follower need to know.
package gitea

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"code.gitea.io/sdk/gitea"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

// requestPatience bounds one request.
const requestPatience = 30 * time.Second

// Forge is Gitea's API for one account and one organization.
type Forge struct {
	organization, account, url, tokenName string

	password func() (string, error)
	http     *http.Client

	signingIn sync.Mutex
	token     string
}

// New is the forge at a URL, as an account sees an organization there. It signs in
// with the password once and goes on with a token of that name, which is much less
// work for the forge. It believes a server that one of trusted has signed the certificate
// of, which is asked for each time because it may be changed.
func New(url, organization, account, tokenName string, password func() (string, error), trusted func() (*x509.CertPool, error)) *Forge {
	f := &Forge{url: url, organization: organization, account: account, tokenName: tokenName, password: password}
	f.http = &http.Client{Timeout: requestPatience, Transport: bounded{forget: f.forget, next: &http.Transport{
		MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			pool, err := trusted()
			if err != nil {
				return nil, err
			}
			d := tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
			return d.DialContext(ctx, network, address)
		},
	}}}
	return f
}

// client makes requests until ctx ends.
func (f *Forge) client(ctx context.Context) (*gitea.Client, error) {
	token, err := f.signIn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign in to the forge as %s: %w", f.account, err)
	}
	return f.as(ctx, gitea.SetToken(token))
}

func (f *Forge) as(ctx context.Context, who gitea.ClientOption) (*gitea.Client, error) {
	// No version: it is pinned, so nobody has to ask.
	return gitea.NewClient(f.url, gitea.SetGiteaVersion(""), gitea.SetContext(ctx), gitea.SetHTTPClient(f.http), who)
}

func (f *Forge) signIn(ctx context.Context) (string, error) {
	f.signingIn.Lock()
	defer f.signingIn.Unlock()
	if f.token != "" {
		return f.token, nil
	}
	password, err := f.password()
	if err != nil {
		return "", err
	}
	c, err := f.as(ctx, gitea.SetBasicAuth(f.account, password))
	if err != nil {
		return "", err
	}
	if r, err := c.DeleteAccessToken(f.tokenName); err != nil && (r == nil || r.StatusCode != http.StatusNotFound) {
		return "", err
	}
	t, _, err := c.CreateAccessToken(gitea.CreateAccessTokenOption{
		Name: f.tokenName, Scopes: []gitea.AccessTokenScope{"write:repository", "write:issue", "read:user"},
	})
	if err != nil {
		return "", err
	}
	f.token = t.Token
	return f.token, nil
}

func (f *Forge) forget() {
	f.signingIn.Lock()
	defer f.signingIn.Unlock()
	f.token = ""
}

// bounded reads no more of an answer than anybody waits for, and says when the token is
// not good any more.
type bounded struct {
	next   http.RoundTripper
	forget func()
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if _, _, password := r.BasicAuth(); response.StatusCode == http.StatusUnauthorized && !password {
		b.forget()
	}
	response.Body = forgeapi.Bound(response.Body)
	return response, nil
}

// IsGone is whether the forge said that something is not there.
func IsGone(r *gitea.Response) bool { return r != nil && r.StatusCode == http.StatusNotFound }

// perPage is how many of a list come with one answer.
const perPage = 50

// Event implements forgeapi.Forge.
func (f *Forge) Event(key string, header http.Header, body []byte) (*forgeapi.Event, error) {
	good, err := gitea.VerifyWebhookSignature(key, header.Get("X-Gitea-Signature"), body)
	if err != nil || !good {
		return nil, forgeapi.ErrUnsigned
	}
	var sent struct {
		Number    int64  `json:"number"`
		Reference string `json:"ref"`
		Sender    struct {
			UserName string `json:"username"`
		} `json:"sender"`
		Repository struct {
			Name  string `json:"name"`
			Owner struct {
				UserName string `json:"username"`
			} `json:"owner"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, err
	}
	e := &forgeapi.Event{
		Kind: header.Get("X-Gitea-Event"), Number: sent.Number, Reference: sent.Reference, Own: sent.Sender.UserName == f.account,
	}
	if sent.Repository.Owner.UserName == f.organization {
		e.Repository = sent.Repository.Name
	}
	return e, nil
}

// Watch has nothing to find out: the forge sends what happens.
func (f *Forge) Watch(context.Context, []string, func(forgeapi.Event)) {}

// Open implements forgeapi.Forge.
func (f *Forge) Open(ctx context.Context, repository string) ([]int64, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	var all []int64
	for page := 1; ; page++ {
		open, _, err := c.ListRepoPullRequests(f.organization, repository, gitea.ListPullRequestsOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: perPage}, State: gitea.StateOpen,
		})
		if err != nil {
			return nil, fmt.Errorf("list the pull requests: %w", err)
		}
		if len(open) == 0 {
			return all, nil
		}
		for _, p := range open {
			all = append(all, p.Index)
		}
	}
}

// Pull implements forgeapi.Forge.
func (f *Forge) Pull(ctx context.Context, repository string, number int64) (*forgeapi.Pull, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	p, response, err := c.GetPullRequest(f.organization, repository, number)
	switch {
	case IsGone(response):
		return &forgeapi.Pull{}, nil
	case err != nil:
		return nil, fmt.Errorf("read the pull request: %w", err)
	case p.State != gitea.StateOpen || p.Base == nil || p.Base.Ref != forgeapi.Branch || p.Head == nil || p.Head.Sha == "":
		return &forgeapi.Pull{}, nil
	}
	main, err := f.head(c, repository)
	if err != nil {
		return nil, err
	}
	now := &forgeapi.Pull{Open: true, Head: p.Head.Sha, Main: main}
	// What the forge says both began as is of another moment for a while after one of
	// them has changed.
	for _, of := range []string{now.Head, now.Main} {
		if p.MergeBase == "" {
			return now, nil
		}
		below, err := f.contains(c, repository, of, p.MergeBase)
		if err != nil || !below {
			return now, err
		}
	}
	now.Base = p.MergeBase
	return now, nil
}

// Merged implements forgeapi.Forge.
func (f *Forge) Merged(ctx context.Context, repository string, most int) ([]forgeapi.Merged, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	pulls, _, err := c.ListRepoPullRequests(f.organization, repository, gitea.ListPullRequestsOptions{
		ListOptions: gitea.ListOptions{Page: 1, PageSize: most}, State: gitea.StateClosed, Sort: "recentupdate",
	})
	if err != nil {
		return nil, fmt.Errorf("list what was merged: %w", err)
	}
	var all []forgeapi.Merged
	for _, p := range pulls {
		if !p.HasMerged || p.Merged == nil || p.Base == nil || p.Base.Ref != forgeapi.Branch {
			continue
		}
		m := forgeapi.Merged{Number: p.Index, At: *p.Merged}
		if p.MergedCommitID != nil {
			m.Commit = *p.MergedCommitID
		}
		if p.Poster != nil {
			m.Author = p.Poster.UserName
		}
		all = append(all, m)
	}
	return all, nil
}

// Changed implements forgeapi.Forge.
func (f *Forge) Changed(ctx context.Context, repository string, number int64) ([]string, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for page := 1; ; page++ {
		files, _, err := c.ListPullRequestFiles(f.organization, repository, number, gitea.ListPullRequestFilesOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: perPage},
		})
		if err != nil {
			return nil, fmt.Errorf("list the files of pull request %d: %w", number, err)
		}
		for _, file := range files {
			all = append(all, file.Filename, file.PreviousFilename)
		}
		if len(files) < perPage {
			return all, nil
		}
	}
}

// Comment implements forgeapi.Forge.
func (f *Forge) Comment(ctx context.Context, repository string, number int64, marker, body string) error {
	c, err := f.client(ctx)
	if err != nil {
		return err
	}
	// The forge sends all of them, whatever page is asked for.
	list, _, err := c.ListIssueComments(f.organization, repository, number, gitea.ListIssueCommentOptions{})
	if err != nil {
		return fmt.Errorf("read the comments: %w", err)
	}
	for _, each := range list {
		if each.Poster == nil || each.Poster.UserName != f.account || !strings.HasPrefix(each.Body, marker) {
			continue
		}
		if each.Body == body {
			return nil
		}
		if _, _, err := c.EditIssueComment(f.organization, repository, each.ID, gitea.EditIssueCommentOption{Body: body}); err != nil {
			return fmt.Errorf("change the comment: %w", err)
		}
		return nil
	}
	if _, _, err := c.CreateIssueComment(f.organization, repository, number, gitea.CreateIssueCommentOption{Body: body}); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	return nil
}

// Head implements forgeapi.Forge.
func (f *Forge) Head(ctx context.Context, repository string) (string, error) {
	c, err := f.client(ctx)
	if err != nil {
		return "", err
	}
	return f.head(c, repository)
}

func (f *Forge) head(c *gitea.Client, repository string) (string, error) {
	main, _, err := c.GetRepoBranch(f.organization, repository, forgeapi.Branch)
	if err != nil || main.Commit == nil {
		return "", errors.Join(fmt.Errorf("read the branch %s", forgeapi.Branch), err)
	}
	return main.Commit.ID, nil
}

// Contains implements forgeapi.Forge.
func (f *Forge) Contains(ctx context.Context, repository, of, commit string) (bool, error) {
	c, err := f.client(ctx)
	if err != nil {
		return false, err
	}
	return f.contains(c, repository, of, commit)
}

func (f *Forge) contains(c *gitea.Client, repository, of, commit string) (bool, error) {
	if of == commit {
		return true, nil
	}
	more, response, err := c.CompareCommits(f.organization, repository, of, commit)
	switch {
	case IsGone(response):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("compare %s with %s: %w", of, commit, err)
	}
	return more.TotalCommits == 0, nil
}

// Tree implements forgeapi.Forge.
func (f *Forge) Tree(ctx context.Context, repository, commit string, most int) ([]forgeapi.Entry, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	var all []forgeapi.Entry
	for page := 1; ; page++ {
		got, _, err := c.GetTrees(f.organization, repository, gitea.ListTreeOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 1000}, Ref: commit, Recursive: true,
		})
		if err != nil {
			return nil, err
		}
		if got.TotalCount > most {
			return nil, forgeapi.TooMany(got.TotalCount)
		}
		for _, e := range got.Entries {
			if e.Type != "tree" {
				all = append(all, forgeapi.Entry{Path: e.Path, SHA: e.SHA, Mode: e.Mode, Size: e.Size})
			}
		}
		if !got.Truncated {
			return all, nil
		}
		if len(got.Entries) == 0 {
			return nil, errors.New("the forge says that there are more, and sends none")
		}
	}
}

// Blob implements forgeapi.Forge.
func (f *Forge) Blob(ctx context.Context, repository, sha string) ([]byte, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	got, _, err := c.GetBlob(f.organization, repository, sha)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(got.Content)
	if err != nil || int64(len(data)) != got.Size {
		return nil, fmt.Errorf("the forge sends %d of %d bytes", len(data), got.Size)
	}
	return data, nil
}

// Has implements forgeapi.Forge.
func (f *Forge) Has(ctx context.Context, repository, commit, folder string) (bool, error) {
	c, err := f.client(ctx)
	if err != nil {
		return false, err
	}
	_, response, err := c.ListContents(f.organization, repository, commit, folder)
	switch {
	case IsGone(response):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for folder %s: %w", folder, err)
	}
	return true, nil
}

// Newest implements forgeapi.Forge.
func (f *Forge) Newest(ctx context.Context, repository, commit, context string, own bool) (*forgeapi.Status, error) {
	c, err := f.client(ctx)
	if err != nil {
		return nil, err
	}
	if !own {
		combined, _, err := c.GetCombinedStatus(f.organization, repository, commit)
		if err != nil {
			return nil, err
		}
		return f.newest(combined.Statuses, context, false), nil
	}
	for page := 1; ; page++ {
		statuses, _, err := c.ListStatuses(f.organization, repository, commit, gitea.ListStatusesOption{
			ListOptions: gitea.ListOptions{Page: page, PageSize: perPage},
		})
		if err != nil {
			return nil, err
		}
		// Newest first.
		if found := f.newest(statuses, context, true); found != nil || len(statuses) == 0 {
			return found, nil
		}
	}
}

func (f *Forge) newest(statuses []*gitea.Status, context string, own bool) *forgeapi.Status {
	var newest *gitea.Status
	for _, each := range statuses {
		if each.Context == context && (!own || f.own(each)) && (newest == nil || each.ID > newest.ID) {
			newest = each
		}
	}
	if newest == nil {
		return nil
	}
	return &forgeapi.Status{State: string(newest.State), Context: context, Description: newest.Description, Own: f.own(newest)}
}

func (f *Forge) own(s *gitea.Status) bool { return s.Creator != nil && s.Creator.UserName == f.account }

// Say implements forgeapi.Forge.
func (f *Forge) Say(ctx context.Context, repository, commit string, s forgeapi.Status) error {
	c, err := f.client(ctx)
	if err != nil {
		return err
	}
	_, _, err = c.CreateStatus(f.organization, repository, commit, gitea.CreateStatusOption{
		State: gitea.StatusState(s.State), Context: s.Context, Description: s.Description,
	})
	return err
}
