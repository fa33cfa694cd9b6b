// Package forgeapi is the forge's API as the guard uses it: for one account, in one
// organization, and the events that the forge tells it of.
package forgeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"code.gitea.io/sdk/gitea"
)

// Bounds of one request to the forge.
const (
	requestPatience = 30 * time.Second
	maxAnswer       = 32 << 20
)

// Forge is Gitea's API for one account and one organization.
type Forge struct {
	// Organization owns the repositories, Account is who asks.
	Organization, Account string

	url, tokenName string
	password       func() (string, error)
	http           *http.Client

	signingIn sync.Mutex
	token     string
}

// New is the forge at a URL, as an account sees an organization there. It signs in
// with the password once and goes on with a token of that name, which is much less
// work for the forge. It believes a server that one of trusted has signed the certificate
// of, which is asked for each time because it may be changed.
func New(url, organization, account, tokenName string, password func() (string, error), trusted func() (*x509.CertPool, error)) *Forge {
	f := &Forge{url: url, Organization: organization, Account: account, tokenName: tokenName, password: password}
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

// Client makes requests until ctx ends.
func (f *Forge) Client(ctx context.Context) (*gitea.Client, error) {
	token, err := f.signIn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign in to the forge as %s: %w", f.Account, err)
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
	c, err := f.as(ctx, gitea.SetBasicAuth(f.Account, password))
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

// bounded reads no more of an answer than maxAnswer, and says when the token is not
// good any more.
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
	response.Body = &boundedBody{response.Body, maxAnswer}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

var errTooLong = errors.New("the forge's answer is too long")

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// IsGone is whether the forge said that something is not there.
func IsGone(r *gitea.Response) bool { return r != nil && r.StatusCode == http.StatusNotFound }

// Comment writes the account's comment on a pull request that begins with a marker, in
// place of the one before.
func (f *Forge) Comment(c *gitea.Client, repository string, number int64, marker, body string) error {
	// The forge sends all of them, whatever page is asked for.
	list, _, err := c.ListIssueComments(f.Organization, repository, number, gitea.ListIssueCommentOptions{})
	if err != nil {
		return fmt.Errorf("read the comments: %w", err)
	}
	for _, each := range list {
		if each.Poster == nil || each.Poster.UserName != f.Account || !strings.HasPrefix(each.Body, marker) {
			continue
		}
		if each.Body == body {
			return nil
		}
		if _, _, err := c.EditIssueComment(f.Organization, repository, each.ID, gitea.EditIssueCommentOption{Body: body}); err != nil {
			return fmt.Errorf("change the comment: %w", err)
		}
		return nil
	}
	if _, _, err := c.CreateIssueComment(f.Organization, repository, number, gitea.CreateIssueCommentOption{Body: body}); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	return nil
}
