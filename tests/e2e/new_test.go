package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const proposed = "proposed-iris"

// proposedEndpoint has an endpoint proposed, changed and removed, each as a member
// would: by a pull request that is merged when the guard has passed it.
func (s *suite) proposedEndpoint(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	by, repository := s.member(t, scientist), s.firstRepository()
	var hops []string
	hop := func(what string, since time.Time) {
		hops = append(hops, fmt.Sprintf("%s %.1f s", what, time.Since(since).Seconds()))
	}
	start := time.Now()
	r := succeed(ctx, t, s.command("new", "endpoint", proposed, "--propose",
		"--storage-uri", "gs://kfserving-examples/models/sklearn/1.0/model"))
	assert.NotContains(t, r.Stdout+r.Stderr, by.password)
	hop("command to pull request", start)
	number, err := strconv.Atoi(path.Base(strings.TrimSpace(r.Stdout)))
	require.NoError(t, err, r.Stdout)
	start = time.Now()
	p := s.pull(ctx, t, by, repository, number)
	assert.Equal(t, scientist, p.User.Login, "the forge does not know who asked")
	require.Equal(t, "success", s.awaitVerdict(ctx, t, by, repository, p.Head.SHA))
	hop("to status", start)
	comment := s.guardsComment(ctx, t, by, repository, number)
	for _, part := range []string{"Guard: passed", "`" + proposed + "` (added)", "USD a month", "Quota of tenant `default` after this change"} {
		assert.Contains(t, comment, part)
	}
	start = time.Now()
	s.mergePull(ctx, t, by, repository, number)
	hop("merge", start)
	host := strings.Replace(s.hostOf(t, example), example, proposed, 1)
	s.awaitAnswer(ctx, t, proposed, host)
	hop("to the first 200 since the merge began", start)
	t.Log(strings.Join(hops, ", "))

	failed := s.askAllTheTime(t, proposed, host)
	s.merged(ctx, t, by, repository, "size", func(dir string) { resize(t, dir, proposed) })
	s.awaitRevision(ctx, t, proposed, 2)
	assert.Zero(t, failed(), "predictions failed while the endpoint changed its size")

	s.merged(ctx, t, by, repository, "remove", func(dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, endpoints.Folder, proposed)))
	})
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		for _, resource := range []struct {
			of        string
			namespace string
		}{{"InferenceService", tenants}, {"Application", argocd}} {
			kind := kube.InferenceServices
			if resource.of == "Application" {
				kind = kube.Applications
			}
			if o, err := s.cluster.Get(ctx, kind, resource.namespace, proposed); err != nil || o != nil {
				return "the " + resource.of + " is still there", err
			}
		}
		pods, err := s.cluster.List(ctx, kube.Pods, tenants)
		for i := range pods {
			if strings.HasPrefix(pods[i].GetName(), proposed+"-") {
				return "pod " + pods[i].GetName() + " is still there", err
			}
		}
		return "", err
	}))
	answer, err := s.ask(ctx, proposed, host)
	require.NoError(t, err)
	assert.NotEqual(t, http.StatusOK, answer.Code)
}

// resize doubles what the endpoint's model asks for.
func resize(t *testing.T, dir, name string) {
	t.Helper()
	file := filepath.Join(dir, endpoints.Folder, name, "inference-service.yaml")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := strings.Replace(string(raw), `cpu: "50m"`, `cpu: "60m"`, 1)
	require.NotEqual(t, string(raw), changed, "%s", raw)
	require.NoError(t, os.WriteFile(file, []byte(changed), 0o644))
}

// askAllTheTime asks an endpoint until what it returns is called, which says how many
// answers were no prediction.
func (s *suite) askAllTheTime(t *testing.T, model, host string) (failed func() int64) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var asked, bad atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			answer, err := s.ask(context.WithoutCancel(ctx), model, host)
			asked.Add(1)
			if err != nil || answer.Code != http.StatusOK {
				bad.Add(1)
				t.Logf("asked %d times, then %d %s %v", asked.Load(), answer.Code, answer.Body, err)
			}
			time.Sleep(often)
		}
	}()
	return func() int64 {
		stop()
		<-ended
		assert.Greater(t, asked.Load(), int64(10))
		return bad.Load()
	}
}

// awaitRevision waits until an endpoint is ready with that revision and no other.
func (s *suite) awaitRevision(ctx context.Context, t *testing.T, name string, revision int) {
	t.Helper()
	want := fmt.Sprintf("%s-predictor-%05d", name, revision)
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, often, func(ctx context.Context) (string, error) {
		o, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, name)
		if err != nil || o == nil {
			return "it is not there", err
		}
		if got := rig.Text(o, "status", "components", "predictor", "latestRolledoutRevision"); got != want {
			return "its revision is " + got, nil
		}
		return "", nil
	}))
}

// pullRequest is what the forge says of one.
type pullRequest struct {
	Number int    `json:"number"`
	State  string `json:"state"`
	Merged bool   `json:"merged"`
	User   struct {
		Login string `json:"login"`
	} `json:"user"`
	Head struct {
		SHA string `json:"sha"`
	} `json:"head"`
}

func (s *suite) firstRepository() string {
	return path.Base(strings.TrimSuffix(s.outputs.Repository, ".git"))
}

func repositoryAt(repository string) string { return "/repos/" + organization() + "/" + repository }

func (s *suite) pull(ctx context.Context, t *testing.T, by person, repository string, number int) pullRequest {
	t.Helper()
	var p pullRequest
	got := s.askForge(ctx, t, by, http.MethodGet, fmt.Sprintf("%s/pulls/%d", repositoryAt(repository), number), "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &p), "%d %s", got.code, got.body)
	return p
}

// openPulls are those of a repository.
func (s *suite) openPulls(ctx context.Context, t *testing.T, by person, repository string) []pullRequest {
	t.Helper()
	var list []pullRequest
	got := s.askForge(ctx, t, by, http.MethodGet, repositoryAt(repository)+"/pulls?state=open&limit=50", "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &list), "%d %s", got.code, got.body)
	return list
}

func (s *suite) closePulls(ctx context.Context, t *testing.T, by person, repository string) {
	t.Helper()
	for _, p := range s.openPulls(ctx, t, by, repository) {
		got := s.askForge(ctx, t, by, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", repositoryAt(repository), p.Number), `{"state":"closed"}`)
		assert.Equal(t, http.StatusCreated, got.code, got.body)
	}
}

// propose pushes a change for review.
func (s *suite) propose(ctx context.Context, t *testing.T, by person, repository, topic string, change func(dir string)) pullRequest {
	t.Helper()
	clone := s.clone(ctx, t, s.urlOf(t, repository), by)
	change(clone.Dir)
	require.NoError(t, clone.Commit(ctx, "Propose "+topic))
	require.NoError(t, clone.Propose(ctx, git.Proposal{Topic: topic, Title: "Propose " + topic, Text: topic}))
	commit, err := clone.Git(ctx, "rev-parse", "HEAD")
	require.NoError(t, err)
	for _, p := range s.openPulls(ctx, t, by, repository) {
		if p.Head.SHA == commit {
			return p
		}
	}
	require.Fail(t, "the forge made no pull request of "+topic)
	return pullRequest{}
}

// awaitVerdict waits for the guard's status of a commit.
func (s *suite) awaitVerdict(ctx context.Context, t *testing.T, by person, repository, commit string) string {
	t.Helper()
	state, start := "", time.Now()
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, often, func(ctx context.Context) (string, error) {
		var problem string
		if state, problem = s.newestStatus(ctx, t, by, repository, commit); problem != "" {
			return problem, nil
		}
		if state != "success" && state != "failure" {
			return fmt.Sprintf("its status is %q", state), nil
		}
		return "", nil
	}))
	t.Logf("%s of %.12s after %.1f s", state, commit, time.Since(start).Seconds())
	return state
}

// newestStatus of the guard's context; the problem is that the forge does not answer.
func (s *suite) newestStatus(ctx context.Context, t *testing.T, by person, repository, commit string) (state, problem string) {
	t.Helper()
	var combined struct {
		Statuses []struct {
			Context string `json:"context"`
			State   string `json:"status"`
		} `json:"statuses"`
	}
	got := s.askForge(ctx, t, by, http.MethodGet, repositoryAt(repository)+"/commits/"+commit+"/status", "")
	if got.code != http.StatusOK || json.Unmarshal([]byte(got.body), &combined) != nil {
		return "", fmt.Sprintf("the forge answers %d", got.code)
	}
	for _, each := range combined.Statuses {
		if each.Context == reviewer.Context {
			state = each.State
		}
	}
	return state, ""
}

// guardsComment is the one that it has on a pull request.
func (s *suite) guardsComment(ctx context.Context, t *testing.T, by person, repository string, number int) string {
	t.Helper()
	var list []struct {
		Body string `json:"body"`
		User struct {
			Login string `json:"login"`
		} `json:"user"`
	}
	got := s.askForge(ctx, t, by, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", repositoryAt(repository), number), "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &list), "%d %s", got.code, got.body)
	var found []string
	for _, each := range list {
		if each.User.Login == "guard" && strings.HasPrefix(each.Body, guard.Marker) {
			found = append(found, each.Body)
		}
	}
	require.Len(t, found, 1, "%s", got.body)
	return found[0]
}

// mergePull merges one that is passed.
func (s *suite) mergePull(ctx context.Context, t *testing.T, by person, repository string, number int) {
	t.Helper()
	// The forge looks first whether there are conflicts: until then 405.
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, often, func(ctx context.Context) (string, error) {
		got := s.askForge(ctx, t, by, http.MethodPost, fmt.Sprintf("%s/pulls/%d/merge", repositoryAt(repository), number), `{"Do":"merge"}`)
		if got.code != http.StatusOK {
			return fmt.Sprintf("the forge answers %d %s", got.code, got.body), nil
		}
		return "", nil
	}))
}

// merged proposes a change, which has to pass, and merges it.
func (s *suite) merged(ctx context.Context, t *testing.T, by person, repository, topic string, change func(dir string)) {
	t.Helper()
	p := s.propose(ctx, t, by, repository, topic, change)
	require.Equal(t, "success", s.awaitVerdict(ctx, t, by, repository, p.Head.SHA), "%s", s.guardsComment(ctx, t, by, repository, p.Number))
	s.mergePull(ctx, t, by, repository, p.Number)
}
