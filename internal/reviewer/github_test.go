package reviewer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/logtest"
)

const guardToken = "github_pat_guard"

// least is what a guard's token needs, see docs/github.md.
var least = githubtest.Permissions{"contents": "read", "pull_requests": "write", "statuses": "write"}

// onGitHub is a reviewer of a repository there.
func onGitHub(t *testing.T, p *passes) (*githubtest.Server, *githubtest.Repository, *Reviewer, *logtest.Log) {
	t.Helper()
	s := githubtest.New(t, owner)
	s.Grant(guardToken, account, least)
	repo := s.Repository(repository, githubtest.Files{"README.md": {Content: "hello"}, "apps/old/a.yaml": {Content: "old: 1"}})
	log := &logtest.Log{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	forge, err := github.New(logger, github.Args{URL: s.URL, Organization: owner, Token: func() (string, error) { return guardToken, nil }, Poll: 50 * time.Millisecond})
	require.NoError(t, err)
	return s, repo, New(logger, forge, []string{repository}, "rules-1", p.check), log
}

// running has a reviewer run until the test ends.
func running(t *testing.T, r *Reviewer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
}

func states(r *githubtest.Repository, commit string) []string {
	var all []string
	for _, s := range r.Statuses(commit) {
		all = append(all, s.State)
	}
	return all
}

// comesTo waits for the last state of a commit.
func comesTo(t *testing.T, r *githubtest.Repository, commit, state string) {
	t.Helper()
	require.Eventuallyf(t, func() bool {
		all := states(r, commit)
		return len(all) > 0 && all[len(all)-1] == state
	}, 15*time.Second, 10*time.Millisecond, "%s does not come to be %s", commit, state)
}

var (
	fine = githubtest.Files{"apps/new/a.yaml": {Content: "new: 1"}}
	bad  = githubtest.Files{"apps/new/a.yaml": {Content: "bad"}}
)

// Nobody sends an event: GitHub does not reach a laptop.
func TestOnGitHubPullRequestsAreFoundAndJudgedAnewWhenTheyChange(t *testing.T) {
	p := &passes{}
	_, repo, r, _ := onGitHub(t, p)
	repo.Propose(1, "h1", "m0", fine)
	repo.Commit("m1", githubtest.Files{"apps/other/a.yaml": {Content: "other: 1"}, "apps/old/a.yaml": {}})
	running(t, r)
	comesTo(t, repo, "h1", "success")
	p.mu.Lock()
	assert.Equal(t, map[string]string{"README.md": "", "apps/other/a.yaml": "other: 1", "apps/new/a.yaml": "new: 1"}, contents(p.jobs[0].After),
		"what others have merged meanwhile is in it, what they removed is not")
	p.mu.Unlock()

	repo.Propose(2, "h2", "m1", bad)
	comesTo(t, repo, "h2", "failure")
	repo.Propose(1, "h1b", "m1", bad)
	comesTo(t, repo, "h1b", "failure")
	require.Len(t, repo.Comments(1), 1, "a second comment instead of the first one changed")
	assert.Equal(t, guard.Marker+"\nfailed\n---\nh1b as it would be merged into main at m1\n", repo.Comments(1)[0].Body)
	repo.Propose(2, "h2b", "m1", fine)
	comesTo(t, repo, "h2b", "success")
	require.Len(t, repo.Comments(2), 1)

	repo.Commit("m2", githubtest.Files{"apps/more/a.yaml": {Content: "more: 1"}})
	for head, state := range map[string]string{"h1b": "failure", "h2b": "success"} {
		require.Eventually(t, func() bool {
			all := repo.Statuses(head)
			return all[len(all)-1].State == state && strings.Contains(all[len(all)-1].Description, "main at m2")
		}, 15*time.Second, 10*time.Millisecond, "main has changed, and %s is not judged again", head)
	}
}

func TestOnGitHubAskingWhetherSomethingHasHappenedIsNotCounted(t *testing.T) {
	s, repo, r, _ := onGitHub(t, &passes{})
	repo.Propose(1, "h1", "m0", fine)
	running(t, r)
	comesTo(t, repo, "h1", "success")
	time.Sleep(time.Second) // what is on its way
	before, counted := len(s.Requests()), s.Counted()
	require.Eventually(t, func() bool { return len(s.Requests()) >= before+8 }, 15*time.Second, 10*time.Millisecond)
	assert.Equal(t, counted, s.Counted(), "polling uses up what the token may ask: %v", s.Requests()[before:])
}

func TestOnGitHubTooManyRequestsAreWaitedForAndNothingIsLost(t *testing.T) {
	for name, limit := range map[string]func(s *githubtest.Server){
		"secondary, while it looks":       func(s *githubtest.Server) { s.Limit(2, "GET ", time.Time{}, time.Second) },
		"secondary, while it says it":     func(s *githubtest.Server) { s.Limit(2, "POST ", time.Time{}, time.Second) },
		"primary, until the hour is over": func(s *githubtest.Server) { s.Limit(1, "GET ", time.Now().Add(2*time.Second), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, repo, r, _ := onGitHub(t, &passes{})
			limit(s)
			repo.Propose(1, "h1", "m0", fine)
			repo.Propose(2, "h2", "m0", bad)
			running(t, r)
			comesTo(t, repo, "h1", "success")
			comesTo(t, repo, "h2", "failure")
			assert.Equal(t, []string{"pending", "success"}, states(repo, "h1"))
		})
	}
}

// Longer than a request may wait: it is looked at when GitHub takes requests again, and
// asks nothing before.
func TestOnGitHubALongLimitIsNeitherAnAttemptNorAskedAgainst(t *testing.T) {
	s, repo, r, log := onGitHub(t, &passes{})
	repo.Propose(1, "h1", "m0", fine)
	s.Limit(1, "GET /repos/acme/endpoints/git/trees", time.Now().Add(time.Hour), 0)
	_, err := r.attend(t.Context(), subject{repository, 1})
	require.ErrorContains(t, err, "takes no more requests of this account until")
	asked := len(s.Requests())
	_, err = r.attend(t.Context(), subject{repository, 1})
	require.Error(t, err)
	assert.Len(t, s.Requests(), asked, "it asks before GitHub wants to be asked")
	assert.Equal(t, []string{"pending"}, states(repo, "h1"))

	r.queue.Add(subject{repository, 1})
	require.True(t, r.next(t.Context()))
	assert.Contains(t, log.String(), "waits for the forge")
	assert.Zero(t, r.queue.NumRequeues(subject{repository, 1}))
	assert.Zero(t, r.queue.Len(), "it is looked at again before")
}

// It is not the check that ended the process.
func TestWhatTheForgeCouldNotBeToldIsNoAttemptThatEnded(t *testing.T) {
	p := &passes{}
	s, repo, r, _ := onGitHub(t, p)
	repo.Propose(1, "h1", "m0", fine)
	p.during = func(Job) {
		if len(p.jobs) <= attempts+1 {
			s.Fail("POST /repos/acme/endpoints/issues", http.StatusBadGateway)
			s.Fail("POST /repos/acme/endpoints/statuses", http.StatusBadGateway)
		}
	}
	for range attempts + 1 {
		_, err := r.attend(t.Context(), subject{repository, 1})
		require.ErrorContains(t, err, "502")
	}
	attend(t, r, 1)
	assert.Equal(t, []string{"pending", "pending", "pending", "pending", "pending", "success"}, states(repo, "h1"))
}

func TestOnGitHubAMissingRightIsNamedWhereSomebodyLooks(t *testing.T) {
	for missing, want := range map[string]struct{ status, log string }{
		"pull_requests": {"could not check, tries again: comment: the token has not the permission pull_requests=write", "pull_requests=write"},
		"statuses":      {"", "the token has not the permission statuses=write (Resource not accessible by personal access token): give it that"},
		"contents":      {"", "the token has not the permission contents=read"},
	} {
		t.Run(missing, func(t *testing.T) {
			s, repo, r, log := onGitHub(t, &passes{})
			p := githubtest.Permissions{}
			for name, access := range least {
				p[name] = access
			}
			delete(p, missing)
			if missing != "contents" {
				p[missing] = "read"
			}
			s.Grant(guardToken, account, p)
			repo.Propose(1, "h1", "m0", fine)
			r.queue.Add(subject{repository, 1})
			require.True(t, r.next(t.Context()))
			assert.Contains(t, log.String(), want.log)
			assert.NotContains(t, log.String(), guardToken)
			if want.status != "" {
				all := repo.Statuses("h1")
				require.NotEmpty(t, all)
				assert.Equal(t, "error", all[len(all)-1].State)
				assert.Contains(t, all[len(all)-1].Description, want.status)
			}
			s.Grant(guardToken, account, least)
			attend(t, r, 1)
			assert.Contains(t, states(repo, "h1"), "success", "it does not go on when it has the right")
		})
	}
}

func TestOnGitHubAStatusOfSomebodyElseCountsForNothing(t *testing.T) {
	_, repo, r, _ := onGitHub(t, &passes{})
	repo.Propose(1, "h1", "m0", bad)
	attend(t, r, 1)
	all := repo.Statuses("h1")
	forged := all[len(all)-1]
	forged.State, forged.Creator = "success", "merger"
	repo.Say("h1", forged)
	attend(t, r, 1)
	assert.Equal(t, []string{"pending", "failure", "success", "pending", "failure"}, states(repo, "h1"), "the forged one is what people see")
}

func TestOnGitHubWhatIsTooMuchIsRefused(t *testing.T) {
	_, repo, r, _ := onGitHub(t, &passes{})
	many := githubtest.Files{}
	for i := range maxEntries {
		many[fmt.Sprint("docs/", i)] = githubtest.File{Content: "x"}
	}
	repo.Propose(1, "h1", "m0", many)
	attend(t, r, 1)
	all := repo.Statuses("h1")
	assert.Equal(t, "failure", all[len(all)-1].State)
	assert.Contains(t, all[len(all)-1].Description, "there are 10002 files and folders at h1, of at most 10000")
}

func TestGitHubsEventsAreHeardIfTheyAreItsOwn(t *testing.T) {
	const pull = `{"action":"synchronize","number":7,"repository":{"name":"Endpoints","owner":{"login":"Acme"}}}`
	const push = `{"ref":"refs/heads/main","repository":{"name":"endpoints","owner":{"login":"acme","name":"acme"}}}`
	of := func(body string) string {
		h := hmac.New(sha256.New, []byte(hookSecret))
		h.Write([]byte(body))
		return "sha256=" + hex.EncodeToString(h.Sum(nil))
	}
	for name, test := range map[string]struct {
		kind, body, signature string
		code                  int
		want                  []subject
	}{
		"a pull request":       {"pull_request", pull, of(pull), 202, []subject{{"endpoints", 7}}},
		"a push to main":       {"push", push, of(push), 202, []subject{{"endpoints", 0}}},
		"the first one":        {"ping", `{"zen":"x"}`, of(`{"zen":"x"}`), 202, nil},
		"another organization": {"push", strings.ReplaceAll(push, "acme", "evil"), of(strings.ReplaceAll(push, "acme", "evil")), 202, nil},
		"no signature":         {"push", push, "", 401, nil},
		"another's":            {"push", push, of(pull), 401, nil},
		"one that is too weak": {"push", push, "sha1=" + strings.TrimPrefix(of(push), "sha256="), 401, nil},
		"no JSON":              {"push", "x", of("x"), 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, r, _ := onGitHub(t, &passes{})
			// As the server reads them, whatever their case was.
			header := http.Header{}
			header.Set("X-GitHub-Event", test.kind)
			header.Set("X-Hub-Signature-256", test.signature)
			assert.Equal(t, test.code, send(r, header, test.body))
			assert.Equal(t, test.want, queued(r))
		})
	}
}
