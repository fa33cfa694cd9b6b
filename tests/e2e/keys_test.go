package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// promptly is how soon a key has to open, and a revoked one no longer.
const promptly = 2 * time.Second

// makeKey makes a key of the first tenant with the command line.
func (s *suite) makeKey(ctx context.Context, t *testing.T, more ...string) string {
	t.Helper()
	token := strings.TrimSpace(succeed(ctx, t, s.command("keys", append([]string{"create", "--tenant", tenants}, more...)...)).Stdout)
	require.NotEmpty(t, keys.ID(token), "that is no key: its form is wrong")
	t.Cleanup(func() {
		// It may have been revoked by the test.
		_, _ = s.command("keys", "revoke", keys.ID(token)).Run(context.WithoutCancel(ctx))
	})
	return token
}

// storeKey stores a key that the command line would not make. The Secret has to be
// there.
func (s *suite) storeKey(ctx context.Context, t *testing.T, k keys.Key) (token string) {
	t.Helper()
	k, token = keys.New(k, time.Now())
	text, err := keys.Encode(k)
	require.NoError(t, err)
	write := func(ctx context.Context, value any) error {
		patch, err := json.Marshal(map[string]any{"data": map[string]any{k.ID: value}})
		if err != nil {
			return err
		}
		return s.cluster.Patch(ctx, kube.Secrets, keys.Namespace, keys.Secret, string(patch))
	}
	require.NoError(t, write(ctx, base64.StdEncoding.EncodeToString(text)))
	t.Cleanup(func() { assert.NoError(t, write(context.WithoutCancel(ctx), nil)) })
	return token
}

// awaitCode waits until the example answers with that status.
func (s *suite) awaitCode(ctx context.Context, t *testing.T, limit time.Duration, key string, want int) rig.Answer {
	t.Helper()
	var answer rig.Answer
	require.NoError(t, rig.Poll(ctx, limit, 20*time.Millisecond, func(ctx context.Context) (string, error) {
		var err error
		if answer, err = s.askWith(ctx, example, s.hostOf(t, example), key); err != nil || answer.Code != want {
			return fmt.Sprintf("the gateway answers %d %s, not %d", answer.Code, answer.Body, want), err
		}
		return "", nil
	}))
	return answer
}

// requireSentence demands that a refusal says why, in one sentence.
func requireSentence(t *testing.T, a rig.Answer, says string) {
	t.Helper()
	var body map[string]string
	require.NoError(t, json.Unmarshal([]byte(a.Body), &body), "%d %q", a.Code, a.Body)
	assert.Contains(t, body["error"], says)
	assert.Equal(t, 1, strings.Count(body["error"]+" ", ". "), body["error"])
}

func (s *suite) keysOpenWhatTheyAreFor(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	requireSentence(t, s.awaitCode(ctx, t, promptly, "", http.StatusUnauthorized), "asks for a key")
	_, unknown := keys.New(keys.Key{Tenant: tenants}, time.Now())
	requireSentence(t, s.awaitCode(ctx, t, promptly, unknown, http.StatusUnauthorized), "not known")

	key := s.makeKey(ctx, t, "--note", "e2e")
	requirePrediction(t, s.awaitCode(ctx, t, promptly, key, http.StatusOK).Body)
	one := s.makeKey(ctx, t, "--endpoint", "sklearn-iris")
	requireSentence(t, s.awaitCode(ctx, t, promptly, one, http.StatusForbidden), "does not open endpoint "+example)
	expired := s.storeKey(ctx, t, keys.Key{Tenant: tenants, Expires: time.Now().Add(-time.Minute)})
	awaited := func(key string, code int, says string) {
		t.Helper()
		requireSentence(t, s.awaitCode(ctx, t, promptly, key, code), says)
	}
	require.NoError(t, rig.Poll(ctx, promptly, 20*time.Millisecond, func(ctx context.Context) (string, error) {
		a, err := s.askWith(ctx, example, s.hostOf(t, example), expired)
		if !strings.Contains(a.Body, "expired") {
			return "it answers " + a.Body, err
		}
		return "", err
	}))
	awaited(expired, http.StatusUnauthorized, "expired on")
	foreign := s.storeKey(ctx, t, keys.Key{Tenant: "somebody-elses"})
	awaited(foreign, http.StatusForbidden, "does not open endpoint "+example+" in namespace "+tenants)

	t.Run("a key that asks too often is told when to come again", func(t *testing.T) { s.limitHolds(ctx, t) })
	t.Run("requests are counted by key", func(t *testing.T) {
		// A Service's proxy asks one of its pods: each has its own count.
		require.NoError(t, rig.Poll(ctx, 30*time.Second, often, func(ctx context.Context) (string, error) {
			if _, err := s.askWith(ctx, example, s.hostOf(t, example), key); err != nil {
				return "", err
			}
			r, err := rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
				"get", "--raw", "/api/v1/namespaces/" + keys.Namespace + "/services/doorkeeper:http/proxy/metrics",
			}}.Run(ctx)
			want := fmt.Sprintf("neuroscale_requests_total{key=%q,namespace=%q,endpoint=%q,outcome=\"allowed\"}", keys.ID(key), tenants, example)
			if !strings.Contains(r.Stdout, want) {
				return "no " + want + " among the metrics", err
			}
			return "", err
		}))
	})

	list := succeed(ctx, t, s.command("keys", "list")).Stdout
	assert.Contains(t, list, keys.ID(key))
	assert.NotContains(t, list, key)
	succeed(ctx, t, s.command("keys", "revoke", keys.ID(key)))
	start := time.Now()
	awaited(key, http.StatusUnauthorized, "not known")
	t.Logf("a revoked key was refused after %s", time.Since(start).Round(time.Millisecond))
}

// limitHolds asks more often than a key may. Each of two replicas counts for itself.
func (s *suite) limitHolds(ctx context.Context, t *testing.T) {
	const perMinute, replicas = 5, 2
	key := s.makeKey(ctx, t, "--requests-per-minute", fmt.Sprint(perMinute))
	s.awaitCode(ctx, t, promptly, key, http.StatusOK)
	passed, limited := 1, 0
	for range 4 * perMinute {
		a, err := s.askWith(ctx, example, s.hostOf(t, example), key)
		require.NoError(t, err)
		switch a.Code {
		case http.StatusOK:
			passed++
		case http.StatusTooManyRequests:
			limited++
			assert.Regexp(t, `^[1-9][0-9]?$`, a.Header.Get("Retry-After"))
			requireSentence(t, a, "may ask 5 times a minute")
		default:
			t.Errorf("the gateway answers %d %s", a.Code, a.Body)
		}
	}
	assert.Positive(t, limited)
	assert.GreaterOrEqual(t, passed, perMinute)
	assert.LessOrEqual(t, passed, replicas*perMinute+1, "one more is earned while it asks")
}

// traffic asks with a good key, a wrong one and none until it is stopped, and
// returns how often the gateway gave which answer to whom.
func (s *suite) traffic(ctx context.Context, t *testing.T, good string) (stop func() map[string]map[int]int) {
	t.Helper()
	_, wrong := keys.New(keys.Key{Tenant: tenants}, time.Now())
	host := s.hostOf(t, example)
	everybody := map[string]func(context.Context) (rig.Answer, error){}
	for who, key := range map[string]string{"good": good, "good, too": good, "wrong": wrong, "none": ""} {
		everybody[who] = func(ctx context.Context) (rig.Answer, error) { return s.askWith(ctx, example, host, key) }
	}
	ended := rig.OnAndOn(ctx, 0, everybody)
	return func() map[string]map[int]int {
		answers := map[string]map[int]int{}
		for who := range everybody {
			answers[who] = map[int]int{}
		}
		for _, a := range ended() {
			answers[a.Who][a.Answer.Code]++ // 0: not even an answer
			if a.Err != nil {
				t.Logf("%s: %v", a.Who, a.Err)
			}
		}
		return answers
	}
}

// doorkeepers are the pods that judge keys and are ready.
func (s *suite) doorkeepers(ctx context.Context) (ready []string, err error) {
	pods, err := s.cluster.List(ctx, kube.Pods, keys.Namespace)
	for i := range pods {
		if rig.Serves(&pods[i]) {
			ready = append(ready, pods[i].GetName())
		}
	}
	return ready, err
}

func (s *suite) awaitDoorkeepers(ctx context.Context, t *testing.T, without ...string) []string {
	t.Helper()
	var ready []string
	require.NoError(t, rig.Poll(ctx, 30*time.Second, often, func(ctx context.Context) (string, error) {
		var err error
		ready, err = s.doorkeepers(ctx)
		for _, gone := range without {
			if strings.Contains(strings.Join(ready, " "), gone) {
				return gone + " is still ready", err
			}
		}
		if len(ready) < 2 {
			return fmt.Sprintf("%d replicas are ready", len(ready)), err
		}
		return "", err
	}))
	return ready
}

func (s *suite) keysAreJudgedWhileReplicasEnd(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	key := s.makeKey(ctx, t, "--requests-per-minute", "1000000")
	s.awaitCode(ctx, t, promptly, key, http.StatusOK)
	first := s.awaitDoorkeepers(ctx, t)
	stop := s.traffic(ctx, t, key)
	time.Sleep(time.Second)
	for _, pod := range first {
		require.NoError(t, s.cluster.Delete(ctx, kube.Pods, keys.Namespace, pod))
		s.awaitDoorkeepers(ctx, t, pod)
		time.Sleep(3 * time.Second) // until it has answered its last
	}
	answers := stop()
	t.Logf("answers: %v", answers)
	for who, want := range map[string]int{"good": 200, "good, too": 200, "wrong": 401, "none": 401} {
		assert.Greater(t, answers[who][want], 100, who)
		assert.Len(t, answers[who], 1, "%s: a wrong answer while a replica ended", who)
	}
}

// nobodyGetsInUnjudged takes away what judges keys, which Argo CD is kept from
// healing.
func (s *suite) nobodyGetsInUnjudged(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	const deployment = "doorkeeper"
	s.pause(ctx, t, serving.DoorkeeperLayer)
	scale := func(ctx context.Context, replicas int) error {
		return s.cluster.Patch(ctx, kube.Deployments, keys.Namespace, deployment, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
	}
	t.Cleanup(func() { assert.NoError(t, scale(context.WithoutCancel(ctx), 2)) })
	require.NoError(t, scale(ctx, 0))
	// One that ends judges what it is asked until it has gone, and rightly.
	s.awaitEverywhere(ctx, t, time.Minute, http.StatusForbidden)
	stop := s.traffic(ctx, t, s.outputs.PlatformKey)
	time.Sleep(3 * time.Second)
	answers := stop()
	t.Logf("answers: %v", answers)
	for who, codes := range answers {
		assert.NotEmpty(t, codes, who)
		assert.Zero(t, codes[http.StatusOK], "%s got in", who)
	}
	require.NoError(t, scale(ctx, 2))
	start := time.Now()
	s.awaitCode(ctx, t, 30*time.Second, s.outputs.PlatformKey, http.StatusOK)
	t.Logf("a request was judged again after %s", time.Since(start).Round(100*time.Millisecond))
	s.awaitDoorkeepers(ctx, t)
	s.awaitEverywhere(ctx, t, 15*time.Second, http.StatusOK)
	t.Logf("all were after %s", time.Since(start).Round(100*time.Millisecond))
}

// awaitEverywhere waits until 20 requests in a row with the platform's key are answered
// with a code: each of the gateway's workers connects by itself to what judges keys.
func (s *suite) awaitEverywhere(ctx context.Context, t *testing.T, patience time.Duration, code int) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, patience, often, func(ctx context.Context) (string, error) {
		for range 20 {
			if a, err := s.askWith(ctx, example, s.hostOf(t, example), s.outputs.PlatformKey); err != nil || a.Code != code {
				return fmt.Sprintf("one of 20 requests is answered %d %s", a.Code, a.Body), err
			}
		}
		return "", nil
	}))
}

// podsAskTheirOwn asks through the gateway's listener for requests from inside, as
// a transformer does its predictor, from a pod of each tenant.
func (s *suite) podsAskTheirOwn(ctx context.Context, t *testing.T) {
	pod, _ := s.runningPod(ctx, t)
	ask := func(namespace, pod, container, endpoint, in string) string {
		t.Helper()
		address := "http://" + endpoint + "-predictor." + in + ".svc.cluster.local/v1/models/" + endpoint + ":predict"
		r := succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
			"exec", "-n", namespace, pod, "-c", container, "--", "curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}",
			"-H", "Content-Type: application/json", "-d", instances, address,
		}})
		return r.Stdout
	}
	for name, test := range map[string]struct{ namespace, pod, container, endpoint, in, want string }{
		"a pod of the first tenant, its own endpoint":  {tenants, "deployment/nginx-test", "nginx", example, tenants, "200"},
		"a pod of the second tenant, its own endpoint": {other, "pod/" + pod, "kserve-container", otherFolder, other, "200"},
		"a pod of the first tenant, the second's":      {tenants, "deployment/nginx-test", "nginx", otherFolder, other, "401"},
		"a pod of the second tenant, the first's":      {other, "pod/" + pod, "kserve-container", example, tenants, "401"},
	} {
		assert.Equal(t, test.want, ask(test.namespace, test.pod, test.container, test.endpoint, test.in), name)
	}
}
