// Package githubtest stands in for GitHub in tests: it answers as GitHub documents its
// REST API (version 2022-11-28), as far as this project asks, and refuses what GitHub
// refuses. Nothing here was compared with GitHub itself.
package githubtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
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
	next         int64
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
	s.tokens[secret] = token{login: login, permissions: p, blind: map[string]bool{}}
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

// Repository of the organization.
type Repository struct {
	s        *Server
	looks    int // how often it is not there yet
	branches map[string]string
	topics   []string
	demanded []string
	name     string
	main     string
	pulls    map[int64]*pull
	commits  map[string]commit
	statuses map[string][]Status
	comments map[int64][]Comment
}

type commit struct {
	files   Files
	parents []string
}

type pull struct {
	number             int64
	from, title, body  string // the branch that it is of, with its owner
	state, head, base  string
	author, mergedInto string
	mergedAt, updated  time.Time
	changed            []string
}

// Repository of that name; a new one has one commit, m0, with these files.
func (s *Server) Repository(name string, first Files) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Repository{
		s: s, name: name, main: "m0", branches: map[string]string{}, pulls: map[int64]*pull{}, commits: map[string]commit{"m0": {files: first}},
		statuses: map[string][]Status{}, comments: map[int64][]Comment{},
	}
	s.repositories[name] = r
	return r
}

// Topics gives it topics, by which the platform knows its own.
func (r *Repository) Topics(topics ...string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.topics = topics
}

// Demand protects main by statuses of these contexts.
func (r *Repository) Demand(contexts ...string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.demanded = contexts
}

// At says when a pull request was changed last.
func (r *Repository) At(number int64, updated time.Time) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.pulls[number].updated = updated
}

// Propose opens a pull request of a commit on top of base, or gives it that commit. A
// file without content is removed.
func (r *Repository) Propose(number int64, head, base string, content Files) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	changed := r.commit(head, base, content)
	r.pulls[number] = &pull{number: number, state: "open", head: head, base: "main", author: "anna", changed: changed}
}

// Commit makes main another commit on top of itself.
func (r *Repository) Commit(id string, content Files) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.commit(id, r.main, content)
	r.main = id
}

// Merge merges a pull request, which makes main another commit.
func (r *Repository) Merge(number int64, id string, at time.Time) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	p := r.pulls[number]
	all := maps.Clone(r.commits[r.main].files)
	for _, path := range p.changed {
		if file, there := r.commits[p.head].files[path]; there {
			all[path] = file
		} else {
			delete(all, path)
		}
	}
	r.commits[id] = commit{all, []string{r.main, p.head}}
	r.main, p.state, p.mergedInto, p.mergedAt = id, "closed", id, at
}

// Close closes a pull request without merging it.
func (r *Repository) Close(number int64) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.pulls[number].state = "closed"
}

// Say lays a status on a commit, as somebody.
func (r *Repository) Say(commit string, status Status) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.say(commit, status)
}

func (r *Repository) say(commit string, status Status) {
	r.s.next++
	status.ID = r.s.next
	r.statuses[commit] = append(r.statuses[commit], status)
}

// Statuses of a commit, oldest first.
func (r *Repository) Statuses(commit string) []Status {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.statuses[commit])
}

// Comments on a pull request.
func (r *Repository) Comments(number int64) []Comment {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.comments[number])
}

// Main is the commit of the branch main.
func (r *Repository) Main() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.main
}

func (r *Repository) commit(id, base string, content Files) []string {
	all := maps.Clone(r.commits[base].files)
	if all == nil {
		all = Files{}
	}
	for path, file := range content {
		all[path] = file
		if file == (File{}) {
			delete(all, path)
		}
	}
	r.commits[id] = commit{all, []string{base}}
	return slices.Sorted(maps.Keys(content))
}

// history of a commit, itself first.
func (r *Repository) history(id string) []string {
	var all []string
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		if c, there := r.commits[queue[0]]; there && !slices.Contains(all, queue[0]) {
			all = append(all, queue[0])
			queue = append(queue, c.parents...)
		}
	}
	return all
}

// needed is the permission that a request takes.
func needed(method, rest string) (permission, access string) {
	access = map[bool]string{true: "read", false: "write"}[method == http.MethodGet]
	switch part, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/"); {
	case part == "":
		return "metadata", "read"
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
	a := &answer{s: s, w: w, q: q}
	is := q.Method + " " + q.URL.Path
	if i := slices.IndexFunc(s.refusals, func(r refusal) bool { return strings.HasPrefix(is, r.match) }); i >= 0 {
		r := s.refusals[i]
		s.refusals = slices.Delete(s.refusals, i, i+1)
		for name, value := range r.header {
			w.Header().Set(name, value)
		}
		a.refuse(r.status, r.body)
		return
	}
	secret, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	t, known := s.tokens[secret]
	if !known {
		a.refuse(http.StatusUnauthorized, "Bad credentials")
		return
	}
	if t.permissions == nil {
		w.Header().Set("X-OAuth-Scopes", "repo")
	}
	switch q.URL.Path {
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
	if r == nil || t.blind[name] {
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
	s *Server
	w http.ResponseWriter
	q *http.Request
}

func (a *answer) done(status int) {
	a.s.requests = append(a.s.requests, fmt.Sprintf("%s %s %d", a.q.Method, a.q.URL.Path, status))
	if status != http.StatusNotModified {
		a.s.counted++
	}
}

func (a *answer) refuse(status int, message string, errors ...object) {
	a.done(status)
	a.w.WriteHeader(status)
	_ = json.NewEncoder(a.w).Encode(object{"message": message, "errors": errors, "documentation_url": "https://docs.github.com/rest"})
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

func (r *Repository) pullObject(p *pull) object {
	o := object{
		"number": p.number, "state": p.state, "user": object{"login": p.author}, "html_url": fmt.Sprintf("https://github.com/%s/%s/pull/%d", r.s.organization, r.name, p.number),
		"updated_at": p.updated.UTC().Format(time.RFC3339), "head": object{"sha": p.head}, "base": object{"ref": p.base, "sha": r.main}, "merged_at": nil, "merge_commit_sha": nil,
	}
	if !p.mergedAt.IsZero() {
		o["merged_at"], o["merge_commit_sha"] = p.mergedAt.UTC().Format(time.RFC3339), p.mergedInto
	}
	return o
}

func (r *Repository) serve(a *answer, t token, rest string) {
	parts := strings.Split(rest, "/")
	number := func(i int) int64 { n, _ := strconv.ParseInt(parts[i], 10, 64); return n }
	get := a.q.Method == http.MethodGet
	switch {
	case rest == "" && get:
		a.json(http.StatusOK, object{
			"full_name": r.s.organization + "/" + r.name, "topics": r.topics, "archived": false,
			"permissions": object{"admin": t.permissions == nil, "push": t.may("contents", "write"), "pull": true},
		})
	case rest == "pulls" && get:
		r.servePulls(a)
	case rest == "pulls", parts[0] == "pulls" && a.q.Method == http.MethodPatch:
		r.serveOpen(a, t, parts)
	case !get && (strings.HasPrefix(rest, "git/") || rest == "forks" || rest == "merge-upstream"):
		r.serveWrite(a, t, rest)
	case strings.HasPrefix(rest, "git/commits/"):
		a.json(http.StatusOK, object{"sha": parts[2], "tree": object{"sha": parts[2]}})
	case parts[0] == "pulls" && get:
		p := r.pulls[number(1)]
		switch {
		case p == nil:
			a.refuse(http.StatusNotFound, "Not Found")
		case len(parts) == 2:
			a.json(http.StatusOK, r.pullObject(p))
		default:
			var files []object
			for _, path := range p.changed {
				files = append(files, object{"filename": path, "status": "modified"})
			}
			list(a, files)
		}
	case rest == "branches/main" && get:
		o := object{"name": "main", "commit": object{"sha": r.main}, "protected": len(r.demanded) > 0}
		if len(r.demanded) > 0 {
			o["protection"] = object{"enabled": true, "required_status_checks": object{"enforcement_level": "non_admins", "contexts": r.demanded}}
		}
		a.json(http.StatusOK, o)
	case rest == "git/ref/heads/main" && get:
		a.json(http.StatusOK, object{"ref": "refs/heads/main", "object": object{"type": "commit", "sha": r.main}})
	case strings.HasPrefix(rest, "git/trees/") && get:
		r.serveTree(a, parts[2])
	case strings.HasPrefix(rest, "git/blobs/") && get:
		r.serveBlob(a, parts[2])
	case parts[0] == "compare" && get:
		r.serveCompare(a, parts[1])
	case parts[0] == "contents" && get:
		r.serveContents(a, strings.Join(parts[1:], "/"), a.q.FormValue("ref"))
	case parts[0] == "commits" && len(parts) == 3 && parts[2] == "statuses" && get:
		var all []object
		for _, s := range slices.Backward(r.statuses[parts[1]]) {
			all = append(all, object{"id": s.ID, "state": s.State, "context": s.Context, "description": s.Description, "creator": object{"login": s.Creator}})
		}
		list(a, all)
	case parts[0] == "statuses" && a.q.Method == http.MethodPost:
		r.serveSay(a, t, parts[1])
	case parts[0] == "issues" && parts[len(parts)-1] == "comments" && get:
		var all []object
		for _, c := range r.comments[number(1)] {
			all = append(all, object{"id": c.ID, "body": c.Body, "user": object{"login": c.User}})
		}
		list(a, all)
	case parts[0] == "issues":
		r.serveComment(a, t, parts)
	default:
		a.refuse(http.StatusNotFound, "Not Found")
	}
}

func (r *Repository) servePulls(a *answer) {
	var all []*pull
	for _, n := range slices.Sorted(maps.Keys(r.pulls)) {
		p := r.pulls[n]
		state := cmp.Or(a.q.FormValue("state"), "open")
		if head := a.q.FormValue("head"); head != "" && head != p.from {
			continue
		}
		if (state == "all" || p.state == state) && (a.q.FormValue("base") == "" || a.q.FormValue("base") == p.base) {
			all = append(all, p)
		}
	}
	if a.q.FormValue("direction") != "asc" {
		slices.Reverse(all)
	}
	objects := []object{}
	for _, p := range all {
		objects = append(objects, r.pullObject(p))
	}
	list(a, objects)
}

func (r *Repository) serveTree(a *answer, id string) {
	c, there := r.commits[id]
	if !there {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	const most = 100000
	entries := []object{}
	for _, path := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[path]
		e := object{"path": path, "mode": cmp.Or(f.Mode, "100644"), "type": "blob", "sha": SHA(f.Content), "size": cmp.Or(f.Size, int64(len(f.Content)))}
		if f.Mode == "160000" {
			e["type"] = "commit"
			delete(e, "size")
		}
		entries = append(entries, e)
	}
	a.json(http.StatusOK, object{"sha": id, "tree": entries[:min(len(entries), most)], "truncated": len(entries) > most})
}

func (r *Repository) serveBlob(a *answer, sha string) {
	for _, c := range r.commits {
		for _, f := range c.files {
			if SHA(f.Content) != sha {
				continue
			}
			if strings.Contains(a.q.Header.Get("Accept"), "raw") {
				a.raw(http.StatusOK, []byte(f.Content))
			} else {
				a.json(http.StatusOK, object{"encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(f.Content)), "size": len(f.Content)})
			}
			return
		}
	}
	a.refuse(http.StatusNotFound, "Not Found")
}

func (r *Repository) serveCompare(a *answer, of string) {
	base, head, _ := strings.Cut(of, "...")
	before, after := r.history(base), r.history(head)
	common := slices.IndexFunc(after, func(id string) bool { return slices.Contains(before, id) })
	if common < 0 {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	only := func(of, without []string) int {
		return len(slices.DeleteFunc(slices.Clone(of), func(id string) bool { return slices.Contains(without, id) }))
	}
	ahead, behind := only(after, before), only(before, after)
	status := map[[2]bool]string{{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind", {true, true}: "diverged"}[[2]bool{ahead > 0, behind > 0}]
	a.json(http.StatusOK, object{"status": status, "ahead_by": ahead, "behind_by": behind, "merge_base_commit": object{"sha": after[common]}})
}

func (r *Repository) serveContents(a *answer, path, ref string) {
	var below []object
	if ref == "main" {
		ref = r.main
	}
	before := ""
	for _, file := range slices.Sorted(maps.Keys(r.commits[ref].files)) {
		rest, inside := strings.CutPrefix(file, path+"/")
		name, _, deeper := strings.Cut(rest, "/")
		if inside && name != before {
			before = name
			below = append(below, object{"type": map[bool]string{true: "dir", false: "file"}[deeper], "name": name, "path": path + "/" + name})
		}
	}
	if below == nil {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	a.json(http.StatusOK, below)
}

// What GitHub takes of a status.
const mostDescription = 140

var states = []string{"error", "failure", "pending", "success"}

func (r *Repository) serveSay(a *answer, t token, id string) {
	var s struct{ State, Context, Description string }
	if json.NewDecoder(a.q.Body).Decode(&s) != nil || !slices.Contains(states, s.State) {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Status", "field": "state", "code": "invalid"})
		return
	}
	if len([]rune(s.Description)) > mostDescription {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Status", "code": "custom", "message": "description is too long (maximum is 140 characters)"})
		return
	}
	if _, there := r.commits[id]; !there {
		a.refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+id)
		return
	}
	r.say(id, Status{State: s.State, Context: cmp.Or(s.Context, "default"), Description: s.Description, Creator: t.login})
	a.json(http.StatusCreated, object{"state": s.State})
}

// mostComment is what GitHub takes of a comment, in characters.
const mostComment = 65536

func (r *Repository) serveComment(a *answer, t token, parts []string) {
	var c struct{ Body string }
	if json.NewDecoder(a.q.Body).Decode(&c) != nil || c.Body == "" || len([]rune(c.Body)) > mostComment {
		a.refuse(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "IssueComment", "field": "body", "code": "unprocessable"})
		return
	}
	id, _ := strconv.ParseInt(parts[len(parts)-1], 10, 64)
	if a.q.Method == http.MethodPatch {
		for n, all := range r.comments {
			for i := range all {
				if all[i].ID == id {
					r.comments[n][i].Body = c.Body
					a.json(http.StatusOK, object{"id": id, "body": c.Body})
					return
				}
			}
		}
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	number, _ := strconv.ParseInt(parts[1], 10, 64)
	if r.pulls[number] == nil {
		a.refuse(http.StatusNotFound, "Not Found")
		return
	}
	r.s.next++
	r.comments[number] = append(r.comments[number], Comment{ID: r.s.next, Body: c.Body, User: t.login})
	a.json(http.StatusCreated, object{"id": r.s.next, "body": c.Body})
}
