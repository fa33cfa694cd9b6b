package github

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/google/go-github/v75/github"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

// Access is how GitHub's API is asked.
type Access struct {
	// URL of the API; empty means API.
	URL string
	// Token is asked for before each request: it may be changed.
	Token func() (string, error)
	// Patience is how long is waited for GitHub to take requests again. What would be
	// longer is a forgeapi.Limited.
	Patience time.Duration
	// Next makes the requests; nil means this package's own.
	Next http.RoundTripper
}

// NewClient asks as a token. It waits when GitHub wants that, and asks for what it has
// asked for before only whether it is another now, which does not count as a request.
func NewClient(a Access) (*api.Client, error) {
	base, err := url.Parse(strings.TrimRight(cmp.Or(a.URL, API), "/") + "/")
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("the URL of GitHub's API is %q: it is such as %s", a.URL, API)
	}
	next := a.Next
	if next == nil {
		next = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: requestPatience, ResponseHeaderTimeout: requestPatience, ForceAttemptHTTP2: true,
		}
	}
	c := api.NewClient(&http.Client{Transport: &transport{token: a.Token, patience: a.Patience, host: base.Host, next: next}})
	c.BaseURL, c.UserAgent = base, "neuroscale"
	// The transport knows better when to wait.
	c.DisableRateLimitCheck = true
	return c, nil
}

const (
	// leastWait keeps from asking again at once.
	leastWait = time.Second
	// mostKept is how many bytes of answers are kept together, largestKept of one.
	mostKept    = 8 << 20
	largestKept = 2 << 20
)

// transport signs requests with a token, waits as GitHub wants it, and keeps answers.
type transport struct {
	token    func() (string, error)
	patience time.Duration
	host     string
	next     http.RoundTripper

	mu    sync.Mutex
	until time.Time // no request before
	kept  map[string]answered
	size  int
	whose string // token of what is kept
}

// answered is an answer that may still be the same.
type answered struct {
	header http.Header
	body   []byte
}

func (t *transport) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Host != t.host {
		return nil, fmt.Errorf("GitHub sends a request on to %s, which is not told the token", q.URL.Host)
	}
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if err := t.wait(q.Context()); err != nil {
			return nil, err
		}
		r, err := t.ask(q, token)
		if err != nil {
			return nil, err
		}
		body := ""
		if r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusTooManyRequests {
			if body, err = peek(r); err != nil {
				return nil, err
			}
		}
		wait, limited := rateLimit(r.StatusCode, r.Header, body, time.Now())
		if !limited {
			return r, nil
		}
		r.Body.Close()
		until := t.hold(max(wait, leastWait))
		if try == tries {
			return nil, &forgeapi.Limited{Until: until}
		}
	}
}

func (t *transport) hold(wait time.Duration) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until := time.Now().Add(wait); until.After(t.until) {
		t.until = until
	}
	return t.until
}

// wait is until GitHub takes requests, if that is not long.
func (t *transport) wait(ctx context.Context) error {
	t.mu.Lock()
	until := t.until
	t.mu.Unlock()
	wait := time.Until(until)
	if wait <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); wait > t.patience || ok && deadline.Before(until) {
		return &forgeapi.Limited{Until: until}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask makes one request.
func (t *transport) ask(q *http.Request, token string) (*http.Response, error) {
	again := q.Clone(q.Context())
	again.Header.Set("Authorization", "Bearer "+token)
	if q.GetBody != nil {
		body, err := q.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	// What has Git's name stays the same, and is asked for once.
	keep := q.Method == http.MethodGet && !strings.Contains(q.URL.Path, "/git/blobs/") && !strings.Contains(q.URL.Path, "/git/trees/")
	key := q.Header.Get("Accept") + " " + q.URL.String()
	before, known := t.recall(key, token)
	if keep && known {
		again.Header.Set("If-None-Match", before.header.Get("Etag"))
	}
	r, err := t.next.RoundTrip(again)
	if err != nil {
		return nil, err
	}
	r.Body = forgeapi.Bound(r.Body)
	switch {
	case known && r.StatusCode == http.StatusNotModified:
		r.Body.Close()
		r.StatusCode, r.Status = http.StatusOK, "200 OK"
		r.Header = before.header.Clone()
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(before.body)), int64(len(before.body))
		return r, nil
	case !keep || r.StatusCode != http.StatusOK || r.Header.Get("Etag") == "":
		return r, nil
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	t.remember(key, token, answered{r.Header.Clone(), body})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

func (t *transport) recall(key, token string) (answered, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whose != token {
		// Another one may see other things.
		t.whose, t.kept, t.size = token, nil, 0
	}
	a, ok := t.kept[key]
	return a, ok
}

func (t *transport) remember(key, token string, a answered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whose != token || len(a.body) > largestKept {
		return
	}
	t.size += len(a.body) - len(t.kept[key].body)
	if t.kept == nil || t.size > mostKept {
		t.kept, t.size = map[string]answered{}, len(a.body)
	}
	t.kept[key] = a
}

// IsGone is whether GitHub said that something is not there. It says so as well of what
// a token may not see.
func IsGone(err error) bool {
	var e *api.ErrorResponse
	return errors.As(err, &e) && e.Response != nil && e.Response.StatusCode == http.StatusNotFound
}

// Explain says of an error of the API what is wrong and what would help.
func Explain(err error) error {
	var limited *forgeapi.Limited
	if errors.As(err, &limited) {
		return limited
	}
	var e *api.ErrorResponse
	if !errors.As(err, &e) || e.Response == nil {
		return err
	}
	header, status := e.Response.Header, e.Response.StatusCode
	switch {
	case status == http.StatusUnauthorized:
		return errors.New(unknown("", e.Message))
	case status == http.StatusForbidden && header.Get("X-GitHub-SSO") != "":
		_, link, _ := strings.Cut(header.Get("X-GitHub-SSO"), "url=")
		return fmt.Errorf("the token is not let into the organization, which signs people in by itself: allow it at %s", cmp.Or(link, "https://github.com/settings/tokens"))
	case status == http.StatusForbidden && header.Get("X-Accepted-GitHub-Permissions") != "":
		return fmt.Errorf("the token has not the permission %s (%s): give it that", header.Get("X-Accepted-GitHub-Permissions"), e.Message)
	case status == http.StatusForbidden && header.Get("X-Accepted-OAuth-Scopes") != "":
		return fmt.Errorf("the token has not the scope %s, it has %s (%s): give it that", header.Get("X-Accepted-OAuth-Scopes"), cmp.Or(header.Get("X-OAuth-Scopes"), "none"), e.Message)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s is not there, or the token does not see it: %w", e.Response.Request.URL.Path, err)
	case status == http.StatusUnprocessableEntity:
		return fmt.Errorf("GitHub does not take it: %s", strings.Join(append([]string{e.Message}, details(e.Errors)...), ", "))
	}
	return err
}

func details(all []api.Error) []string {
	var out []string
	for _, e := range all {
		text := cmp.Or(e.Message, strings.TrimSpace(e.Field+" "+e.Code))
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
