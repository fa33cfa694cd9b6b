// Package github asks GitHub's API, and finds out whether it would let a token make what
// the platform needs there, before anything is made.
package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

const (
	// API of github.com, and Pages that people look at.
	API   = "https://api.github.com"
	Pages = "https://github.com"
	// TokenVariable has the token if the settings have none.
	TokenVariable = "GITHUB_TOKEN"
	// Topic is on every repository that the platform made.
	Topic = "neuroscale-platform"
	// Description is theirs from the moment they are made; Topic comes in a request of its
	// own.
	Description = "Endpoints of NeuroScale: a folder in apps/ is one"

	requestPatience = 30 * time.Second
	maxAnswer       = 4 << 20
	tries           = 3
)

// Repository is one that is to be there.
type Repository struct {
	Name string
	// Adopt is that it is there already, and whoever made it wants it taken over.
	Adopt bool
}

// Preflight says what is to be made where, and by whom.
type Preflight struct {
	// URL of the API; empty means API.
	URL string
	// Token of an account that administers the repositories, and From where it is; empty
	// means TokenVariable.
	Token, From string
	// Owner of the repositories, an organization or an account.
	Owner        string
	Repositories []Repository
	// Patience is how long is waited for GitHub to take requests again.
	Patience time.Duration
	// Client and Now are those of this package but for tests.
	Client *http.Client
	Now    func() time.Time
}

// Kinds of tokens. GitHub names the scopes of the first kind only.
const (
	Classic     = "classic"
	FineGrained = "fine-grained"
	App         = "app"
)

// Report is what was found out of a token that may do all that could be asked.
type Report struct {
	// Kind is one of the constants above, Login whose token it is; empty of an App's.
	Kind, Login string
	// Missing are the repositories that will be made, and Ours the names of those that the
	// platform has made before.
	Missing, Ours []string
	// Unproven are sentences about what GitHub tells nobody beforehand.
	Unproven []string
}

// Check only reads. Its error has a sentence for each thing that is missing.
func (p Preflight) Check(ctx context.Context) (*Report, error) {
	if p.Token == "" {
		return nil, fmt.Errorf("there is no token for GitHub: set %s to one that administers the repositories of %s", p.from(), p.Owner)
	}
	c := &checker{Preflight: p, report: &Report{}}
	if err := c.account(ctx); err != nil {
		return nil, err
	}
	if err := c.owner(ctx); err != nil {
		return nil, err
	}
	for _, r := range p.Repositories {
		if err := c.repository(ctx, r); err != nil {
			return nil, err
		}
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	if c.report.Kind != Classic {
		c.report.Unproven = append(c.report.Unproven, "that the token may write, and not only read, GitHub says only when it does")
		if len(c.report.Missing) > 0 {
			c.report.Unproven = append(c.report.Unproven, fmt.Sprintf("that the token may make %s GitHub says only when it does", strings.Join(c.report.Missing, ", ")))
		}
	}
	return c.report, nil
}

// Known finds out whether GitHub knows the token.
func (p Preflight) Known(ctx context.Context) error {
	c := &checker{Preflight: p, report: &Report{}}
	a, err := c.get(ctx, "/rate_limit", nil)
	if err == nil && a.status == http.StatusUnauthorized {
		err = c.unknown(a)
	}
	return err
}

// KnownApp finds out whether GitHub knows an OAuth App by its client ID and by Token as its
// secret. It asks, as only the App may, whose a token is that nobody has.
func (p Preflight) KnownApp(ctx context.Context, clientID string) error {
	c := &checker{Preflight: p, report: &Report{}}
	q := question{method: http.MethodPost, path: "/applications/" + url.PathEscape(clientID) + "/token", body: `{"access_token":"gho_nobodys"}`,
		sign: func(r *http.Request) { r.SetBasicAuth(clientID, p.Token) }}
	a, err := c.ask(ctx, q, nil)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("GitHub does not know OAuth App %s by the secret in %s (%s): one of both is wrong, make another secret on the App's page", clientID, p.from(), a.message)
	case a.status != http.StatusNotFound && a.status != http.StatusUnprocessableEntity:
		return a.unexpected()
	}
	return nil
}

func (p Preflight) from() string { return cmp.Or(p.From, TokenVariable) }

type checker struct {
	Preflight
	report   *Report
	problems []error
}

func (c *checker) complain(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// account finds out whose token it is and of which kind.
func (c *checker) account(ctx context.Context) error {
	var user struct {
		Login string `json:"login"`
	}
	a, err := c.get(ctx, "/user", &user)
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return c.unknown(a)
	case http.StatusForbidden: // an App acts for no account
		c.report.Kind = App
		return nil
	default:
		return a.unexpected()
	}
	c.report.Login, c.report.Kind = user.Login, FineGrained
	scopes, classic := a.header[http.CanonicalHeaderKey("X-OAuth-Scopes")]
	if !classic {
		return nil
	}
	c.report.Kind = Classic
	const needed = "repo" // repositories with their hooks, keys, labels and secrets
	has := strings.FieldsFunc(strings.Join(scopes, ","), func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(has, needed) {
		c.complain("the token in %s has not the scope %s, it has %s: give it that at https://github.com/settings/tokens",
			c.from(), needed, cmp.Or(strings.Join(has, ", "), "none"))
	}
	return nil
}

func (c *checker) unknown(a *answer) error {
	return errors.New(unknown(c.from(), a.message))
}

func (c *checker) owner(ctx context.Context) error {
	var owner struct {
		Login string `json:"login"`
		Type  string `json:"type"`
	}
	a, err := c.get(ctx, "/users/"+url.PathEscape(c.Owner), &owner)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusNotFound:
		return fmt.Errorf("GitHub has no organization or account %q: write the name of yours in neuroscale:forge.organization", c.Owner)
	case a.status != http.StatusOK:
		return a.unexpected()
	case owner.Type != "Organization" && c.report.Login != "" && !strings.EqualFold(owner.Login, c.report.Login):
		return fmt.Errorf("%s is the account of a person and the token is %s's: only a token of its own makes repositories there", owner.Login, c.report.Login)
	}
	return nil
}

// probes are what the permissions of tokens without scopes are read off: who may not
// read there may not write either.
var probes = []struct{ path, permission string }{
	{"/keys", "Administration"},
	{"/hooks", "Webhooks"},
	{"/labels", "Issues"},
	{"/commits", "Contents"},
	{"/actions/secrets", "Secrets"},
	{"/actions/variables", "Variables"},
}

func (c *checker) repository(ctx context.Context, r Repository) error {
	var found struct {
		FullName    string   `json:"full_name"`
		Description string   `json:"description"`
		Size        int      `json:"size"`
		Archived    bool     `json:"archived"`
		Topics      []string `json:"topics"`
		Permissions struct {
			Admin bool `json:"admin"`
		} `json:"permissions"`
	}
	name := c.Owner + "/" + r.Name
	at := "/repos/" + url.PathEscape(c.Owner) + "/" + url.PathEscape(r.Name)
	a, err := c.get(ctx, at, &found)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusForbidden && a.header.Get("X-GitHub-SSO") != "":
		_, link, _ := strings.Cut(a.header.Get("X-GitHub-SSO"), "url=")
		c.complain("the token is not let into %s, which signs people in by itself: allow it at %s", c.Owner, cmp.Or(link, "https://github.com/settings/tokens"))
		return nil
	case a.status == http.StatusNotFound && r.Adopt:
		c.complain("%s is not there, or the token does not see it: make it, or let the program make it by not adopting it", name)
		return nil
	case a.status == http.StatusNotFound:
		c.report.Missing = append(c.report.Missing, name)
		return nil
	case a.status != http.StatusOK:
		return a.unexpected()
	case !strings.EqualFold(found.FullName, name):
		c.complain("%s is called %s now: write that name", name, found.FullName)
		return nil
	case r.Adopt:
	case slices.Contains(found.Topics, Topic), found.Description == Description && found.Size == 0:
		c.report.Ours = append(c.report.Ours, r.Name)
	default:
		c.complain("%s is there already and not the platform's: adopt it, or name another repository", name)
		return nil
	}
	if found.Archived {
		c.complain("%s is archived, so nobody writes to it: take it out of the archive", name)
	}
	if !found.Permissions.Admin {
		c.complain("the token may not administer %s: give its account the role Admin there, or take a token of one that has it", name)
		return nil
	}
	if c.report.Kind == Classic {
		return nil
	}
	for _, probe := range probes {
		a, err := c.get(ctx, at+probe.path+"?per_page=1", nil)
		switch {
		case err != nil:
			return err
		case a.status == http.StatusForbidden, a.status == http.StatusNotFound:
			c.complain("the token has not the permission %s of %s: give it that, to read and write", probe.permission, name)
		case a.status == http.StatusOK, a.status == http.StatusConflict: // a repository without a commit
		default:
			return a.unexpected()
		}
	}
	return nil
}

// answer of the API that is no transport's error.
type answer struct {
	request string
	status  int
	header  http.Header
	message string
}

func (a *answer) unexpected() error {
	return fmt.Errorf("GitHub answered %d to %s (%s): run it again, and look at https://www.githubstatus.com if that goes on", a.status, a.request, a.message)
}

// question is a request that changes nothing.
type question struct {
	method, path, body string
	sign               func(*http.Request)
}

func (c *checker) get(ctx context.Context, path string, v any) (*answer, error) {
	return c.ask(ctx, question{method: http.MethodGet, path: path, sign: func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}}, v)
}

// ask waits with what it was told to wait for. What is there is read into v.
func (c *checker) ask(ctx context.Context, q question, v any) (*answer, error) {
	for try := 1; ; try++ {
		a, body, err := c.once(ctx, q)
		if err != nil {
			return nil, err
		}
		wait, limited := rateLimit(a.status, a.header, a.message, c.now())
		if !limited {
			if a.status == http.StatusOK && v != nil {
				if err := json.Unmarshal(body, v); err != nil {
					return nil, fmt.Errorf("what GitHub answered to %s is not what its API does: is %s its URL? (%w)", a.request, c.base(), err)
				}
			}
			return a, nil
		}
		if wait > c.Patience || try == tries {
			return nil, fmt.Errorf("%w: run it again then", &forgeapi.Limited{Until: c.now().Add(wait)})
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *checker) once(ctx context.Context, q question) (*answer, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, q.method, c.base()+q.path, strings.NewReader(q.body))
	if err != nil {
		return nil, nil, fmt.Errorf("the URL of GitHub's API is %q: %w", c.base(), err)
	}
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	request.Header.Set("User-Agent", "neuroscale")
	q.sign(request)
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("GitHub does not answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("GitHub does not answer: %w", err)
	}
	a := &answer{request: q.method + " " + q.path, status: response.StatusCode, header: response.Header}
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) == nil {
		a.message = said.Message
	}
	a.message = cmp.Or(a.message, http.StatusText(a.status))
	return a, body, nil
}

func (c *checker) base() string { return strings.TrimRight(cmp.Or(c.URL, API), "/") }

func (c *checker) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
