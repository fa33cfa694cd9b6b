// Package githubtest stands in for GitHub in tests: it answers as GitHub documents its
// REST API (version 2022-11-28) and its GraphQL, as far as this project and its provider
// ask, and refuses what GitHub refuses. Nothing here was compared with GitHub itself.
package githubtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// File of a commit.
type File struct {
	Content string
	// Mode is Git's; empty means a plain file's.
	Mode string
	// Size if it is not that of Content.
	Size int64
}

// Files of a commit, by path.
type Files map[string]File

// SHA is what Git would call a content: another content has another one.
func SHA(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])[:40]
}

// Permissions of a token, such as {"contents": "read", "statuses": "write"}. A token of
// nil permissions may do all that its account may.
type Permissions map[string]string

type token struct {
	login       string
	permissions Permissions
	blind       map[string]bool // repositories that it does not see
	scopes      string          // of a token that has some
}

// Status that was laid on a commit.
type Status struct {
	ID                                   int64
	State, Context, Description, Creator string
}

// Comment on a pull request.
type Comment struct {
	ID         int64
	Body, User string
}

// Server is a GitHub with one organization.
type Server struct {
	// URL of its API.
	URL string

	organization string
	mu           sync.Mutex
	tokens       map[string]token
	repositories map[string]*Repository
	forks        map[string]*Repository // by owner and name
	requests     []string
	counted      int
	refusals     []refusal
	writes       []Write
	after        []after
	next         int64
	app          oauthApp
}

// refusal is an answer in place of what was asked for.
type refusal struct {
	match  string
	status int
	header map[string]string
	body   string
}

// New is a server that ends with the test.
func New(t testing.TB, organization string) *Server {
	t.Helper()
	s := &Server{organization: organization, tokens: map[string]token{}, repositories: map[string]*Repository{}, forks: map[string]*Repository{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Grant makes a token of an account known.
func (s *Server) Grant(secret, login string, p Permissions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := token{login: login, permissions: p, blind: map[string]bool{}}
	if p == nil {
		t.scopes = "repo"
	}
	s.tokens[secret] = t
}

// Hide has a token not see a repository.
func (s *Server) Hide(secret, repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[secret].blind[repository] = true
}

// Revoke makes a token unknown.
func (s *Server) Revoke(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, secret)
}

// Limit refuses the next requests, of which "METHOD /path" begins with match, as GitHub
// does when there were too many: until reset if that is not zero (the primary limit),
// else with Retry-After (the secondary one).
func (s *Server) Limit(requests int, match string, reset time.Time, retryAfter time.Duration) {
	r := refusal{match: match, status: http.StatusForbidden, body: "You have exceeded a secondary rate limit.",
		header: map[string]string{"Retry-After": strconv.Itoa(int(retryAfter.Seconds()))}}
	if !reset.IsZero() {
		r.body = "API rate limit exceeded for user ID 1."
		r.header = map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(reset.Unix(), 10)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for range requests {
		s.refusals = append(s.refusals, r)
	}
}

// Fail answers the next request, of which "METHOD /path" begins with match, with a
// status.
func (s *Server) Fail(match string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, refusal{match: match, status: status, body: http.StatusText(status)})
}

// Requests are all there were, as "METHOD /path status".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Counted is how many of them count for what a token may ask in an hour.
func (s *Server) Counted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}

// needed is the permission that a request takes.
func needed(method, rest string) (permission, access string) {
	access = map[bool]string{true: "read", false: "write"}[method == http.MethodGet]
	switch part, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/"); {
	case part == "" && method == http.MethodGet:
		return "metadata", "read"
	case part == "", part == "topics", part == "vulnerability-alerts", part == "keys":
		return "administration", access
	case part == "hooks":
		return "repository_hooks", access
	case part == "labels":
		return "issues", access
	case strings.HasPrefix(rest, "actions/secrets"):
		return "secrets", access
	case strings.HasPrefix(rest, "actions/variables"):
		return "actions_variables", access
	case part == "statuses", part == "commits" && strings.HasSuffix(rest, "/statuses"):
		return "statuses", access
	case part == "pulls", part == "issues":
		return "pull_requests", access
	case part == "forks":
		return "metadata", access
	}
	return "contents", access
}

func (t token) may(permission, access string) bool {
	has := t.permissions[permission]
	return t.permissions == nil || permission == "metadata" || has == "write" || has == access
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Where GitHub is somebody's own server, the API is below a path.
	path := strings.TrimPrefix(q.URL.Path, "/api/v3")
	if path == "/api/graphql" {
		path = "/graphql"
	}
	q.URL.Path = path
	body, _ := io.ReadAll(q.Body)
	q.Body = io.NopCloser(bytes.NewReader(body))
	is := q.Method + " " + path
	a := &answer{s: s, w: w, q: q, is: is, body: body}
	if i := slices.IndexFunc(s.refusals, func(r refusal) bool { return strings.HasPrefix(is, r.match) }); i >= 0 {
		r := s.refusals[i]
		s.refusals = slices.Delete(s.refusals, i, i+1)
		for name, value := range r.header {
			w.Header().Set(name, value)
		}
		a.refuse(r.status, r.body)
		return
	}
	if a.signIn() {
		return
	}
	secret, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	t, known := s.tokens[secret]
	if !known {
		a.refuse(http.StatusUnauthorized, "Bad credentials")
		return
	}
	a.login = t.login
	if t.scopes != "" {
		w.Header().Set("X-OAuth-Scopes", t.scopes)
	}
	switch q.URL.Path {
	case "/graphql":
		s.serveGraphQL(a, t)
		return
	case "/orgs/" + s.organization:
		a.json(http.StatusOK, object{"login": s.organization, "id": 1})
		return
	case "/user":
		a.json(http.StatusOK, object{"login": t.login, "type": "User"})
		return
	case "/users/" + s.organization:
		a.json(http.StatusOK, object{"login": s.organization, "type": "Organization"})
		return
	case "/rate_limit":
		a.json(http.StatusOK, object{"rate": object{"limit": 5000, "remaining": 4000}})
		return
	}
	if is == "POST /orgs/"+s.organization+"/repos" {
		s.make(a, t)
		return
	}
	owner, path, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/repos/"), "/")
	name, rest, _ := strings.Cut(path, "/")
	r := s.repositories[name]
	if owner != s.organization {
		if r = s.forks[owner+"/"+name]; r != nil && r.looks > 0 {
			r.looks--
			a.refuse(http.StatusNotFound, "Not Found")
			return
		}
	}
	if r == nil || t.blind[name] || !t.seesPrivate() {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	if permission, access := needed(q.Method, rest); owner != t.login && !t.may(permission, access) {
		w.Header().Set("X-Accepted-GitHub-Permissions", permission+"="+access)
		a.refuse(http.StatusForbidden, "Resource not accessible by personal access token")
		return
	}
	r.serve(a, t, rest)
}

type object = map[string]any

// answer to one request.
type answer struct {
	s     *Server
	w     http.ResponseWriter
	q     *http.Request
	is    string // as Write has it
	login string
	body  []byte
}

func (a *answer) done(status int) {
	a.s.requests = append(a.s.requests, fmt.Sprintf("%s %s %d", a.q.Method, a.q.URL.Path, status))
	if status != http.StatusNotModified {
		a.s.counted++
	}
	a.note(status)
}

func (a *answer) refuse(status int, message string, errors ...object) {
	a.done(status)
	a.w.WriteHeader(status)
	about := "https://docs.github.com/rest"
	if strings.Contains(message, "secondary rate limit") {
		about += "/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits" // clients know it by that
	}
	_ = json.NewEncoder(a.w).Encode(object{"message": message, "errors": errors, "documentation_url": about})
}

func (a *answer) json(status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	a.raw(status, text)
}

func (a *answer) raw(status int, text []byte) {
	sum := sha256.Sum256(text)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if a.q.Method == http.MethodGet {
		a.w.Header().Set("ETag", tag)
		if a.q.Header.Get("If-None-Match") == tag {
			a.done(http.StatusNotModified)
			a.w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	a.done(status)
	a.w.WriteHeader(status)
	_, _ = a.w.Write(text)
}

// list answers with a page of all.
func list[T any](a *answer, all []T) {
	size, _ := strconv.Atoi(cmp.Or(a.q.FormValue("per_page"), "30"))
	size = min(max(size, 1), 100)
	page, _ := strconv.Atoi(cmp.Or(a.q.FormValue("page"), "1"))
	from := min((max(page, 1)-1)*size, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		next := url.URL{Path: a.q.URL.Path}
		query := a.q.URL.Query()
		query.Set("page", strconv.Itoa(page+1))
		next.RawQuery = query.Encode()
		a.w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next"`, a.s.URL, next.String()))
	}
	a.json(http.StatusOK, append([]T{}, all[from:to]...))
}
