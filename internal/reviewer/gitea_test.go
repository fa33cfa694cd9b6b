package reviewer

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	giteaapi "github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

const (
	owner      = "acme"
	repository = "endpoints"
	account    = "guard"
)

// file is one of a commit.
type file struct {
	content string
	mode    string // a plain file's if empty
	size    int64  // of the content if 0
}

// files of a commit, by path.
type files map[string]file

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])[:40]
}

type note struct {
	ID   int64             `json:"id"`
	Body string            `json:"body"`
	User map[string]string `json:"user"`
}

type status struct {
	ID          int64             `json:"id"`
	State       string            `json:"status"`
	Description string            `json:"description"`
	Context     string            `json:"context"`
	Creator     map[string]string `json:"creator"`
}

// forgeDouble answers like Gitea as far as the reviewer asks, for one repository.
type forgeDouble struct {
	url      string
	trusted  *x509.CertPool
	mu       sync.Mutex
	token    string
	made     int
	main     string
	pulls    map[int64]map[string]any
	commits  map[string]files
	parents  map[string][]string
	statuses map[string][]status
	comments map[int64][]note
	// asked are requests that change something.
	asked []string
	// before, if not nil, is called before each of them.
	before func(request string)
}

func newForge(t *testing.T) (*forgeDouble, forgeapi.Forge) {
	t.Helper()
	f := &forgeDouble{
		main: "m0", pulls: map[int64]map[string]any{}, statuses: map[string][]status{}, comments: map[int64][]note{},
		commits: map[string]files{"m0": {"README.md": {content: "hello"}, "apps/old/a.yaml": {content: "old: 1"}}},
		parents: map[string][]string{},
	}
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	f.url, f.trusted = server.URL, x509.NewCertPool()
	f.trusted.AddCert(server.Certificate())
	return f, giteaapi.New(f.url, owner, account, "guard", func() (string, error) { return "hunter2", nil },
		func() (*x509.CertPool, error) { return f.trusted, nil })
}

// propose opens a pull request of a commit on top of base.
func (f *forgeDouble) propose(number int64, head, base string, content files) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := maps.Clone(f.commits[base])
	for path, c := range content {
		all[path] = c
		if c == (file{}) {
			delete(all, path)
		}
	}
	f.commits[head], f.parents[head] = all, []string{base}
	f.pulls[number] = map[string]any{
		"number": number, "state": "open", "merge_base": base,
		"head": map[string]any{"sha": head}, "base": map[string]any{"ref": "main"},
	}
}

// move makes main another commit on top of itself.
func (f *forgeDouble) move(to string, content files) {
	f.propose(0, to, f.main, content)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pulls, 0)
	f.main = to
}

func (f *forgeDouble) reaches(from, to string) bool {
	return from == to || slices.ContainsFunc(f.parents[from], func(p string) bool { return f.reaches(p, to) })
}

func (f *forgeDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, _ := strings.CutPrefix(r.URL.Path, "/api/v1")
	answer := func(code int, v any) { w.WriteHeader(code); _ = json.NewEncoder(w).Encode(v) }
	if strings.HasPrefix(at, "/users/guard/tokens") {
		if user, password, _ := r.BasicAuth(); user != account || password != "hunter2" {
			answer(401, map[string]string{"message": "who"})
			return
		}
		if r.Method == http.MethodDelete {
			w.WriteHeader(map[bool]int{true: 404, false: 204}[f.token == ""])
			return
		}
		f.made++
		f.token = fmt.Sprintf("token-%d", f.made)
		answer(201, map[string]string{"sha1": f.token})
		return
	}
	if r.Header.Get("Authorization") != "token "+f.token || f.token == "" {
		answer(401, map[string]string{"message": "who"})
		return
	}
	var body map[string]string
	if r.Method != http.MethodGet {
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.asked = append(f.asked, r.Method+" "+at)
		if f.before != nil {
			before := f.before
			f.mu.Unlock()
			before(r.Method + " " + at)
			f.mu.Lock()
		}
	}
	rest, ok := strings.CutPrefix(at, "/repos/"+owner+"/"+repository)
	parts := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	number := func(i int) int64 { n, _ := strconv.ParseInt(parts[i], 10, 64); return n }
	switch {
	case !ok:
		answer(404, nil)
	case rest == "/pulls":
		open := []any{}
		if r.FormValue("page") == "1" {
			for _, n := range slices.Sorted(maps.Keys(f.pulls)) {
				if f.pulls[n]["state"] == "open" {
					open = append(open, f.pulls[n])
				}
			}
		}
		answer(200, open)
	case parts[0] == "pulls":
		if f.pulls[number(1)] == nil {
			answer(404, map[string]string{"message": "not found"})
			return
		}
		answer(200, f.pulls[number(1)])
	case rest == "/branches/main":
		answer(200, map[string]any{"name": "main", "commit": map[string]string{"id": f.main}})
	case parts[0] == "compare":
		of, commit, _ := strings.Cut(parts[1], "...")
		more := 0
		if !f.reaches(of, commit) {
			more = 1
		}
		answer(200, map[string]any{"total_commits": more})
	case parts[0] == "commits" && parts[2] == "statuses":
		list := []status{}
		if r.FormValue("page") == "1" {
			list = slices.Clone(f.statuses[parts[1]])
			slices.Reverse(list)
		}
		answer(200, list)
	case parts[0] == "commits":
		answer(200, map[string]any{"statuses": append([]status{}, f.statuses[parts[1]]...)})
	case parts[0] == "statuses":
		f.statuses[parts[1]] = append(f.statuses[parts[1]], status{
			ID: int64(len(f.statuses[parts[1]]) + 1), State: body["state"], Description: body["description"], Context: body["context"],
			Creator: map[string]string{"login": account},
		})
		answer(201, map[string]any{})
	case strings.HasPrefix(rest, "/git/trees/"):
		page, _ := strconv.Atoi(r.FormValue("page"))
		entries := []any{}
		for _, path := range slices.Sorted(maps.Keys(f.commits[parts[2]])) {
			c := f.commits[parts[2]][path]
			mode, kind, size := c.mode, "blob", c.size
			if mode == "" {
				mode = "100644"
			}
			if size == 0 {
				size = int64(len(c.content))
			}
			if mode == modeSubmodule {
				kind, size = "commit", 0
			}
			entries = append(entries, map[string]any{"path": path, "mode": mode, "type": kind, "size": size, "sha": sha(c.content)})
		}
		const perPage = 1000
		from := min((page-1)*perPage, len(entries))
		to := min(from+perPage, len(entries))
		answer(200, map[string]any{"tree": entries[from:to], "truncated": to < len(entries), "total_count": len(entries), "page": page})
	case strings.HasPrefix(rest, "/git/blobs/"):
		for _, commit := range f.commits {
			for _, c := range commit {
				if sha(c.content) == parts[2] {
					answer(200, map[string]any{"content": base64.StdEncoding.EncodeToString([]byte(c.content)), "size": len(c.content)})
					return
				}
			}
		}
		answer(404, nil)
	case strings.HasPrefix(rest, "/issues/comments/"):
		for n, list := range f.comments {
			for i := range list {
				if list[i].ID == number(2) {
					f.comments[n][i].Body = body["body"]
				}
			}
		}
		answer(200, map[string]any{})
	case parts[0] == "issues" && r.Method == http.MethodGet:
		answer(200, append([]note{}, f.comments[number(1)]...))
	case parts[0] == "issues":
		f.comments[number(1)] = append(f.comments[number(1)], note{int64(len(f.comments[number(1)])) + 100*number(1), body["body"], map[string]string{"login": account}})
		answer(201, map[string]any{})
	default:
		answer(404, nil)
	}
}

// said are the states of a commit, oldest first.
func (f *forgeDouble) said(commit string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, s := range f.statuses[commit] {
		all = append(all, s.State)
	}
	return all
}

func (f *forgeDouble) last(commit string) status {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.statuses[commit]
	return list[len(list)-1]
}

// passes is a Checker that remembers what it was given.
type passes struct {
	mu   sync.Mutex
	jobs []Job
	// fails are folders that do not pass.
	err error
	// during is called while a check is made.
	during func(Job)
}

func (p *passes) check(_ context.Context, j Job) (*Verdict, error) {
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	p.mu.Unlock()
	if p.during != nil {
		p.during(j)
	}
	if p.err != nil {
		return nil, p.err
	}
	for _, f := range j.After.Files {
		if strings.Contains(string(f.Data), "bad") {
			return &Verdict{Summary: "found 1 error", Comment: guard.Marker + "\nfailed"}, nil
		}
	}
	return &Verdict{Passed: true, Summary: "1 object passed", Comment: guard.Marker + "\npassed"}, nil
}

func reviewer(t *testing.T, f forgeapi.Forge, p *passes) *Reviewer {
	t.Helper()
	return New(slog.New(slog.DiscardHandler), f, []string{repository}, "rules-1", p.check)
}

// attend has one pull request looked at until there is nothing more to do.
func attend(t *testing.T, r *Reviewer, number int64) {
	t.Helper()
	for range 5 {
		again, err := r.attend(t.Context(), subject{repository, number})
		require.NoError(t, err)
		if again == 0 {
			return
		}
	}
	assert.Fail(t, "it does not come to an end")
}
