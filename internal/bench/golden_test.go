package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/git/gittest"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// forgeDouble is a forge with one repository whose endpoints answer as soon as they
// are on main. A pull request adds the folder that its title names.
type forgeDouble struct {
	t      *testing.T
	origin string
	url    string
	git    http.Handler

	mu      sync.Mutex
	newest  int64
	pulls   map[int64]string // their endpoints, of those that were not deleted
	open    map[int64]bool
	pushed  map[int64]string // their commits, of those that were pushed for review
	merged  []string
	refuses string        // the endpoint that the guard does not pass
	merging func()        // called before a merge
	busy    map[int64]int // how often a merge is put off
}

func newForge(t *testing.T) *forgeDouble {
	t.Helper()
	f := &forgeDouble{t: t, origin: filepath.Join(t.TempDir(), "acme", "endpoints.git"), pulls: map[int64]string{}, open: map[int64]bool{}, pushed: map[int64]string{}, busy: map[int64]int{}}
	seed := t.TempDir()
	f.run("", "init", "-q", "--bare", "--initial-branch=main", f.origin)
	f.run(f.origin, "config", "http.receivepack", "true")
	f.run(f.origin, "config", "receive.advertisePushOptions", "true")
	f.run(seed, "init", "-q", "--initial-branch=main")
	require.NoError(t, os.WriteFile(filepath.Join(seed, "README.md"), []byte("hello\n"), 0o644))
	f.run(seed, "add", "--all")
	f.run(seed, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "Seed")
	f.run(seed, "push", "-q", f.origin, "main")
	f.git = gittest.Backend(t, filepath.Dir(filepath.Dir(f.origin)), "ops")
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *forgeDouble) run(dir string, args ...string) string {
	out, err := git.Run(context.Background(), dir, args...)
	require.NoError(f.t, err)
	return out
}

// folders are the endpoints on main.
func (f *forgeDouble) folders() (names []string) {
	for _, file := range strings.Fields(f.run(f.origin, "ls-tree", "-r", "--name-only", "main", "apps")) {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names
}

// ask opens a pull request.
func (f *forgeDouble) ask(_ context.Context, name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest++
	f.pulls[f.newest], f.open[f.newest], f.busy[f.newest] = name, true, 1
	return fmt.Sprintf("%s/acme/endpoints/pulls/%d", f.url, f.newest), nil
}

// add puts a folder on main.
func (f *forgeDouble) add(name string) {
	cmd := exec.Command("git", "-C", f.origin, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader("commit refs/heads/main\ncommitter t <t@t> 0 +0000\ndata 3\nAdd\n" +
		"from refs/heads/main^0\nM 100644 inline apps/" + name + "/a.yaml\ndata 5\na: 1\n\n")
	out, err := cmd.CombinedOutput()
	require.NoError(f.t, err, "%s", out)
}

// review opens a pull request of what was pushed for that, titled as its commit.
func (f *forgeDouble) review() {
	f.mu.Lock()
	defer f.mu.Unlock()
	const at = "refs/for/main"
	commit := f.run(f.origin, "for-each-ref", "--format=%(objectname)", at)
	if commit == "" {
		return
	}
	title := f.run(f.origin, "log", "-1", "--format=%s", commit)
	f.run(f.origin, "update-ref", "-d", at)
	f.newest++
	f.pulls[f.newest], f.open[f.newest], f.pushed[f.newest] = strings.TrimPrefix(title, "Add "), true, commit
}

// headOf is a pull request's commit.
func (f *forgeDouble) headOf(n int64) string {
	if commit, there := f.pushed[n]; there {
		return commit
	}
	return fmt.Sprint("c", n)
}

func (f *forgeDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/acme/") {
		f.git.ServeHTTP(w, r)
		f.review()
		return
	}
	if name, found := strings.CutSuffix(r.Host, "-predictor.default.neuroscale.test"); found {
		for _, there := range f.folders() {
			if there == name {
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	user, _, _ := r.BasicAuth()
	rest := strings.TrimPrefix(r.URL.Path, "/api/v1/repos/acme/endpoints/")
	parts := strings.Split(rest, "/")
	number, _ := strconv.ParseInt(parts[min(1, len(parts)-1)], 10, 64)
	pull := func(n int64) map[string]any {
		return map[string]any{"number": n, "title": "Add " + f.pulls[n], "head": map[string]any{"sha": f.headOf(n)}, "user": map[string]any{"login": "anna"}}
	}
	answer := func(v any) { assert.NoError(f.t, json.NewEncoder(w).Encode(v)) }
	switch {
	case r.Method == http.MethodGet && rest == "pulls":
		list := []any{}
		for n := range f.open {
			list = append(list, pull(n))
		}
		answer(list)
	case r.Method == http.MethodGet && parts[0] == "pulls":
		answer(pull(number))
	case r.Method == http.MethodGet && parts[0] == "commits":
		state := "success"
		for n, name := range f.pulls {
			if f.headOf(n) == parts[1] && name == f.refuses {
				state = "failure"
			}
		}
		answer(map[string]any{"statuses": []any{map[string]any{"context": reviewer.Context, "status": state, "description": "says why"}}})
	case r.Method == http.MethodPost && strings.HasSuffix(rest, "/merge"):
		if f.busy[number]--; f.busy[number] >= 0 {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		assert.Equal(f.t, "anna", user, "somebody else merges")
		if f.merging != nil {
			f.merging()
		}
		if commit, there := f.pushed[number]; there {
			f.run(f.origin, "update-ref", "refs/heads/main", commit)
		} else {
			f.add(f.pulls[number])
		}
		f.merged = append(f.merged, f.pulls[number])
		delete(f.open, number)
	case r.Method == http.MethodDelete && parts[0] == "issues":
		assert.Equal(f.t, "ops", user, "a member cannot delete a pull request")
		delete(f.pulls, number)
		delete(f.open, number)
		w.WriteHeader(http.StatusNoContent)
	default:
		assert.Fail(f.t, "not asked for", "%s %s", r.Method, r.URL.Path)
	}
}

// walker is a platform with that forge.
func (f *forgeDouble) walker() *Platform {
	return &Platform{
		Dynamic: cluster(), HTTP: http.DefaultClient, Gateway: f.url, Domain: "neuroscale.test", Namespace: "default",
		Repository: git.Remote{URL: f.url + "/acme/endpoints.git", Username: "ops", Password: "o"}, Member: Account{"anna", "a"},
		SignIn: func(context.Context) (Form, error) { return f.ask, nil },
		Self: func(ctx context.Context, args ...string) ([]byte, error) {
			require.Equal(f.t, []string{"new", "endpoint"}, args[:2])
			assert.Contains(f.t, strings.Join(args, " "), "--propose --as anna")
			page, err := f.ask(ctx, args[2])
			return []byte(page + "\n"), err
		},
	}
}

func (f *forgeDouble) requireNothingLeft() {
	f.t.Helper()
	assert.Empty(f.t, f.folders(), "an endpoint stayed behind")
	assert.Empty(f.t, f.pulls, "a pull request stayed behind")
}

func TestTheGoldenPathIsWalkedBothWaysAndLeavesNothing(t *testing.T) {
	f := newForge(t)
	samples, _, err := goldenPath(t.Context(), f.walker())
	require.NoError(t, err)
	for target, n := range map[string]int{"form": 3, "propose": 3, "status": 6, "merge": 6} {
		assert.Len(t, samples[target], n, target)
	}
	assert.Len(t, f.merged, walks)
	f.requireNothingLeft()
}

func TestWithoutAPortalTheCommandLineIsWalked(t *testing.T) {
	f := newForge(t)
	p := f.walker()
	p.SignIn = nil
	samples, _, err := goldenPath(t.Context(), p)
	require.NoError(t, err)
	assert.Len(t, samples["propose"], walks)
	assert.Empty(t, samples["form"])
}

func TestWhatTheGuardRefusesEndsTheWalkAndIsRemoved(t *testing.T) {
	f := newForge(t)
	f.refuses = "bench-walk-2"
	_, _, err := goldenPath(t.Context(), f.walker())
	assert.ErrorContains(t, err, "walk 2, by propose: the guard refused pull request")
	assert.ErrorContains(t, err, "says why")
	f.requireNothingLeft()
}

func TestAWalkThatIsInterruptedLeavesNothing(t *testing.T) {
	f := newForge(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.merging = cancel
	p := f.walker()
	p.Log = t.Output()
	_, err := Run(ctx, p, []Target{{Name: "merge"}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Len(t, f.merged, 1)
	f.requireNothingLeft()
}

func TestWhatAKilledRunLeftIsRemovedFirst(t *testing.T) {
	f := newForge(t)
	f.add("bench-walk-3")
	_, err := f.ask(t.Context(), "bench-walk-4")
	require.NoError(t, err)
	_, err = f.ask(t.Context(), "somebodys")
	require.NoError(t, err)
	f.refuses = "bench-walk-1"
	_, _, err = goldenPath(t.Context(), f.walker())
	require.Error(t, err)
	assert.Empty(t, f.folders())
	assert.Len(t, f.pulls, 1)
	for _, name := range f.pulls {
		assert.Equal(t, "somebodys", name, "it deleted what is not its own")
	}
}

func TestWhatCouldNotBeRemovedIsSaidAfterAnInterrupt(t *testing.T) {
	f := newForge(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := f.walker()
	f.merging = func() {
		cancel()
		p.Repository.URL = f.url + "/acme/gone.git"
	}
	p.Log = t.Output()
	_, err := Run(ctx, p, []Target{{Name: "merge"}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "could not remove everything that was made to be measured")
}

func TestNobodyToProposeIsSaid(t *testing.T) {
	f := newForge(t)
	p := f.walker()
	p.Member = Account{}
	_, _, err := goldenPath(t.Context(), p)
	assert.ErrorContains(t, err, "neuroscale:tenants[].members")
	p.Member, p.SignIn = Account{"anna", "a"}, func(context.Context) (Form, error) { return nil, errors.New("the door is shut") }
	_, _, err = goldenPath(t.Context(), p)
	assert.ErrorContains(t, err, "the door is shut")
}

func TestTheForgeIsWhereTheRepositoryIs(t *testing.T) {
	forge, organization, name, err := forgeOf("https://10.88.0.2:30082/git/acme/endpoints.git")
	require.NoError(t, err)
	assert.Equal(t, []string{"https://10.88.0.2:30082/git", "acme", "endpoints"}, []string{forge, organization, name})
	for _, wrong := range []string{"endpoints.git", "https://forge", "https://forge/endpoints.git"} {
		_, _, _, err := forgeOf(wrong)
		assert.ErrorContains(t, err, wrong)
	}
}
