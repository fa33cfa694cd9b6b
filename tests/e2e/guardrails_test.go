package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	guards "github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
	"github.com/neuroscale-platform/neuroscale/tests/guardrails"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	kyvernoNamespace = "kyverno"
	// kyvernoAnswers is a policy that only Kyverno has.
	kyvernoAnswers = "kyverno-answers"
	// strangers is a namespace that is no tenant's.
	strangers = "kube-public"
)

// probes are, for each policy, a case that only it refuses.
var probes = []string{
	"deployment/owner-dropped", "inferenceservice-model/owner-dropped", "deployment/limits-missing",
	"deployment/tag-latest", "inferenceservice-model/nonroot-missing", "service/node-port",
	"deployment/priority-node-critical",
}

// gate is what the steps about guardrails share.
type gate struct {
	*guardrails.Cluster
	cases []guardrails.Case
}

func (s *suite) gate(t *testing.T) *gate {
	t.Helper()
	config, err := rig.RESTConfig(rig.Lookup(s.env, "KUBECONFIG"))
	require.NoError(t, err)
	config.Timeout = 20 * time.Second
	cluster, err := guardrails.NewCluster(config)
	require.NoError(t, err)
	cases, err := guardrails.Cases(guardrails.Namespaces{Tenant: tenants, Other: strangers})
	require.NoError(t, err)
	return &gate{cluster, cases}
}

// prepare makes the objects that the corpus changes, until the end of the test.
func (g *gate) prepare(ctx context.Context, t *testing.T) {
	t.Helper()
	remove, err := g.Prepare(ctx, g.cases)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, remove(context.WithoutCancel(ctx))) })
}

func (g *gate) find(t *testing.T, id string) guardrails.Case {
	t.Helper()
	i := slices.IndexFunc(g.cases, func(c guardrails.Case) bool { return c.ID == id })
	require.GreaterOrEqual(t, i, 0, "the corpus has no case %s", id)
	return g.cases[i]
}

// awaitMechanism waits until every policy's probe is refused by the mechanism.
func (g *gate) awaitMechanism(ctx context.Context, t *testing.T, limit time.Duration, by guardrails.Mechanism) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, limit, often, func(ctx context.Context) (string, error) {
		for _, id := range probes {
			c := g.find(t, id)
			a, err := g.Submit(ctx, c)
			if err != nil {
				return "", err
			}
			if a.Verdict != c.Want || a.Mechanism != by {
				return fmt.Sprintf("%s is not refused by the %s policy: %s", id, by, a), nil
			}
		}
		return "", nil
	}))
}

// requireVerdicts submits the whole corpus and compares.
func (g *gate) requireVerdicts(ctx context.Context, t *testing.T, place guardrails.Place, by guardrails.Mechanism) {
	t.Helper()
	start := time.Now()
	answers, err := g.SubmitAll(ctx, g.cases)
	took := time.Since(start)
	require.NoError(t, err)
	verdicts, details := make([]guardrails.Verdict, len(answers)), make([]string, len(answers))
	refused, slowest := map[guardrails.Mechanism]int{}, 0
	for i, a := range answers {
		verdicts[i], details[i] = a.Verdict, a.Message
		if a.Verdict.ByPolicy() {
			refused[a.Mechanism]++
			assert.Equal(t, by, a.Mechanism, "%s: %s", g.cases[i].ID, a)
		}
		if a.Took > answers[slowest].Took {
			slowest = i
		}
	}
	t.Logf("%s: %d manifests in %s, refused by policies: %v; the slowest was %s with %s", place, len(answers),
		took.Round(time.Millisecond), refused, g.cases[slowest].ID, answers[slowest].Took.Round(time.Millisecond))
	assert.Greater(t, refused[by], 200)
	if wrong := guardrails.Compare(place, g.cases, verdicts, details); len(wrong) > 0 {
		t.Errorf("%d disagreements:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}
}

// guardrailsAgree compares what admission says about the corpus with what guard
// says, with both lines and with Kyverno alone.
func (s *suite) guardrailsAgree(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	g := s.gate(t)
	g.prepare(ctx, t)
	t.Run("as the platform runs", func(t *testing.T) {
		g.awaitMechanism(ctx, t, 10*time.Second, guardrails.ByNative)
		g.requireVerdicts(ctx, t, guardrails.Platform, guardrails.ByNative)
	})
	t.Run("without the native policies", func(t *testing.T) {
		s.awaitKyverno(ctx, t, g, 30*time.Second)
		s.withoutNativePolicies(ctx, t, g)
		g.requireVerdicts(ctx, t, guardrails.Kyverno, guardrails.ByKyverno)
	})
}

// pause keeps Argo CD from healing an Application until the end of the test.
func (s *suite) pause(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	app, err := s.cluster.Get(ctx, kube.Applications, argocd, name)
	require.NoError(t, err)
	require.NotNil(t, app, "there is no Application %s", name)
	automated, found, err := unstructured.NestedMap(app.Object, "spec", "syncPolicy", "automated")
	require.NoError(t, err)
	require.True(t, found, "Application %s is not synced automatically", name)
	before, err := json.Marshal(automated)
	require.NoError(t, err)
	set := func(ctx context.Context, value string) error {
		return s.cluster.Patch(ctx, kube.Applications, argocd, name, `{"spec":{"syncPolicy":{"automated":`+value+`}}}`)
	}
	t.Cleanup(func() { assert.NoError(t, set(context.WithoutCancel(ctx), string(before))) })
	require.NoError(t, set(ctx, "null"))
	// A comparison that began before may still end in a sync: one that begins now
	// cannot.
	require.NoError(t, s.cluster.Patch(ctx, kube.Applications, argocd, name, `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`))
	require.NoError(t, rig.Poll(ctx, 30*time.Second, often, func(ctx context.Context) (string, error) {
		app, err := s.cluster.Get(ctx, kube.Applications, argocd, name)
		switch {
		case err != nil:
			return "", err
		case app.GetAnnotations()["argocd.argoproj.io/refresh"] != "":
			return "Application " + name + " was not compared yet", nil
		case app.Object["operation"] != nil || rig.Text(app, "status", "operationState", "phase") == "Running":
			return "Application " + name + " is being synced", nil
		}
		return "", nil
	}))
}

// withoutNativePolicies takes the bindings of the native policies away until the
// end of the test, and waits until nothing is refused by them.
func (s *suite) withoutNativePolicies(ctx context.Context, t *testing.T, g *gate) {
	t.Helper()
	// Cleanups run last first: heal again, then wait for that.
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		g.awaitMechanism(ctx, t, 60*time.Second, guardrails.ByNative)
		require.NoError(t, s.awaitSynced(ctx, guards.AdmissionLayer, ""))
	})
	s.pause(ctx, t, guards.AdmissionLayer)
	require.NoError(t, rig.Poll(ctx, 20*time.Second, often, func(ctx context.Context) (string, error) {
		left := 0
		for _, name := range guardrails.Policies() {
			b, err := s.cluster.Get(ctx, kube.NativeBindings, "", name)
			if err != nil {
				return "", err
			}
			if b == nil {
				continue
			}
			left++
			if err := s.cluster.Delete(ctx, kube.NativeBindings, "", name); err != nil {
				return "", err
			}
		}
		if left > 0 {
			return fmt.Sprintf("%d bindings were still there", left), nil
		}
		return "", nil
	}))
	g.awaitMechanism(ctx, t, 20*time.Second, guardrails.ByKyverno)
}

func (s *suite) awaitKyverno(ctx context.Context, t *testing.T, g *gate, limit time.Duration) {
	t.Helper()
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, limit, often, func(ctx context.Context) (string, error) {
		answers, err := g.KyvernoAnswers(ctx, samples.Namespace, kyvernoAnswers)
		if err == nil && !answers {
			return "Kyverno does not refuse its probe", nil
		}
		return "", err
	}))
	t.Logf("Kyverno answered after %s", time.Since(start).Round(100*time.Millisecond))
}

// awaitPolicy waits until a policy of Kyverno is ready, and not the one with the
// given UID.
func (s *suite) awaitPolicy(ctx context.Context, name, not string) error {
	err := rig.Poll(ctx, 40*time.Second, often, func(ctx context.Context) (string, error) {
		p, err := s.cluster.Get(ctx, kube.KyvernoPolicies, "", name)
		if err != nil || p == nil {
			return "it is not there", err
		}
		if string(p.GetUID()) == not {
			return "it is still the old one", nil
		}
		return kube.NotReady(p), nil
	})
	if err != nil {
		return fmt.Errorf("policy %s of Kyverno: %w", name, err)
	}
	return nil
}

// debugContainersAreJudged adds what `kubectl debug` would to pods that run.
func (s *suite) debugContainersAreJudged(t *testing.T) {
	ctx := within(t, time.Minute)
	g := s.gate(t)
	pods, err := s.cluster.List(ctx, kube.Pods, tenants)
	require.NoError(t, err)
	for what, label := range map[string][2]string{
		"a Deployment's pod": {"app", "nginx-test"},
		"an endpoint's pod":  {"serving.kserve.io/inferenceservice", example},
	} {
		t.Run(what, func(t *testing.T) {
			i := slices.IndexFunc(pods, func(p unstructured.Unstructured) bool {
				return p.GetLabels()[label[0]] == label[1] && rig.Text(&p, "status", "phase") == "Running" && p.GetDeletionTimestamp() == nil
			})
			require.GreaterOrEqual(t, i, 0, "no pod with %s=%s runs", label[0], label[1])
			verdicts := map[guardrails.Verdict]int{}
			for _, c := range g.cases {
				if c.Operation != guardrails.Debug {
					continue
				}
				spec := c.Read()[0].Object["spec"].(map[string]any)
				a, err := g.Debug(ctx, tenants, pods[i].GetName(), spec["ephemeralContainers"].([]any)[0].(map[string]any))
				require.NoError(t, err, c.ID)
				assert.Equal(t, c.Want, a.Verdict, "%s: %s", c.ID, a)
				verdicts[a.Verdict]++
			}
			assert.Len(t, verdicts, 3, "%v", verdicts)
		})
	}
}

// freshEndpointPasses applies an InferenceService as a person does, and looks
// whether something refused what KServe and Knative make of it.
func (s *suite) freshEndpointPasses(t *testing.T) {
	const fresh = "fresh-iris"
	ctx := within(t, 3*time.Minute)
	from, err := os.ReadFile(filepath.Join(s.checkout, "gitops", "apps", example, "inference-service.yaml"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "inference-service.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(from), example, fresh)), 0o600))
	start := time.Now().Truncate(time.Second)
	t.Cleanup(func() { s.removeEndpoint(context.WithoutCancel(ctx), t, fresh) })
	succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Args: []string{"apply", "-n", tenants, "-f", file}, Env: s.env})
	require.NoError(t, rig.Poll(ctx, 90*time.Second, often, func(ctx context.Context) (string, error) {
		service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, fresh)
		return kube.NotReady(service), err
	}))
	t.Logf("%s was ready after %s", fresh, time.Since(start).Round(time.Second))

	pods, err := s.cluster.List(ctx, kube.Pods, tenants)
	require.NoError(t, err)
	made := 0
	for i := range pods {
		if labels := pods[i].GetLabels(); labels["serving.kserve.io/inferenceservice"] == fresh {
			made++
			assert.NotEmpty(t, labels["owner"], "the endpoint's pod has no owner")
			assert.NotEmpty(t, labels["cost-center"], "the endpoint's pod has no cost center")
		}
	}
	assert.Positive(t, made)
	events, err := s.cluster.List(ctx, kube.Events, tenants)
	require.NoError(t, err)
	for i := range events {
		e := &events[i]
		if !e.GetCreationTimestamp().Time.Before(start) && refusal(e) {
			t.Errorf("%s %s: %s %s", rig.Text(e, "involvedObject", "kind"), rig.Text(e, "involvedObject", "name"), rig.Text(e, "reason"), rig.Text(e, "message"))
		}
	}
}

// refusal is an event about something that was not let in.
func refusal(e *unstructured.Unstructured) bool {
	message := rig.Text(e, "message")
	return rig.Text(e, "reason") == "FailedCreate" || strings.Contains(message, "denied the request") || strings.Contains(message, "ValidatingAdmissionPolicy")
}

// removeEndpoint deletes an InferenceService and waits for its pods to go: they
// count against the tenant's quota.
func (s *suite) removeEndpoint(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, name); err == nil && service == nil {
		return
	}
	require.NoError(t, s.cluster.Delete(ctx, kube.InferenceServices, tenants, name))
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		pods, err := s.cluster.List(ctx, kube.Pods, tenants)
		for i := range pods {
			if pods[i].GetLabels()["serving.kserve.io/inferenceservice"] == name && pods[i].GetDeletionTimestamp() == nil {
				return "pod " + pods[i].GetName() + " is still there", err
			}
		}
		return "", err
	}))
}

// tool is the path of a program in the node's own environment.
func (s *suite) tool(name string) string { return rig.Program(s.env, name) }

// guardrailsHaveNoHole offers a bad Pod all the time while policies are deleted,
// changed and made again.
func (s *suite) guardrailsHaveNoHole(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	g := s.gate(t)
	s.awaitKyverno(ctx, t, g, 30*time.Second)
	g.awaitMechanism(ctx, t, 10*time.Second, guardrails.ByNative)
	bad := g.find(t, "pod/tag-latest")
	name := string(bad.Want)

	watch := g.offer(ctx, bad)
	defer watch.stop()
	for _, disturbance := range []struct {
		name string
		do   func(context.Context, *testing.T)
	}{
		{"the native policy is deleted", func(ctx context.Context, t *testing.T) { s.recreate(ctx, t, kube.NativePolicies, name) }},
		{"its binding is deleted", func(ctx context.Context, t *testing.T) { s.recreate(ctx, t, kube.NativeBindings, name) }},
		{"the native policy is changed", func(ctx context.Context, t *testing.T) { s.reword(ctx, t, name) }},
		{"Kyverno's policy is deleted", func(ctx context.Context, t *testing.T) {
			s.recreate(ctx, t, kube.KyvernoPolicies, name)
			require.NoError(t, s.awaitPolicy(ctx, name, ""))
		}},
	} {
		t.Run(disturbance.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			before, start := watch.answers(), time.Now()
			disturbance.do(ctx, t)
			g.awaitMechanism(ctx, t, 10*time.Second, guardrails.ByNative)
			s.awaitKyverno(ctx, t, g, 10*time.Second)
			t.Logf("it was back after %s, %d answers meanwhile", time.Since(start).Round(10*time.Millisecond), watch.answers()-before)
		})
	}
	watch.stop()
	t.Logf("%d answers: %v", watch.answers(), watch.said)
	assert.Greater(t, watch.answers(), 100)
	assert.Empty(t, watch.problems)
	for said := range watch.said {
		assert.NotContains(t, said, string(guardrails.Admit))
		assert.Contains(t, said, name)
	}
}

// recreate deletes an object and waits until Argo CD has made it again.
func (s *suite) recreate(ctx context.Context, t *testing.T, r schema.GroupVersionResource, name string) {
	t.Helper()
	before, err := s.cluster.Get(ctx, r, "", name)
	require.NoError(t, err)
	require.NotNil(t, before, "%s %s is not there", r.Resource, name)
	require.NoError(t, s.cluster.Delete(ctx, r, "", name))
	require.NoError(t, rig.Poll(ctx, 20*time.Second, often, func(ctx context.Context) (string, error) {
		o, err := s.cluster.Get(ctx, r, "", name)
		if err != nil || o == nil {
			return "it is not there", err
		}
		if o.GetUID() == before.GetUID() {
			return "it is still the old one", nil
		}
		return "", nil
	}), "%s %s", r.Resource, name)
}

// reword changes what a native policy says and waits until Argo CD has changed it
// back.
func (s *suite) reword(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	const another = "another message"
	message := func(ctx context.Context) (string, []any) {
		o, err := s.cluster.Get(ctx, kube.NativePolicies, "", name)
		require.NoError(t, err)
		require.NotNil(t, o)
		all, _, err := unstructured.NestedSlice(o.Object, "spec", "validations")
		require.NoError(t, err)
		require.NotEmpty(t, all)
		text, _ := all[0].(map[string]any)["message"].(string)
		return text, all
	}
	before, validations := message(ctx)
	validations[0].(map[string]any)["message"] = another
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{"example.test/changed": "true"}},
		"spec":     map[string]any{"validations": validations},
	})
	require.NoError(t, err)
	require.NoError(t, s.cluster.Patch(ctx, kube.NativePolicies, "", name, string(patch)))
	require.NoError(t, rig.Poll(ctx, 20*time.Second, often, func(ctx context.Context) (string, error) {
		if now, _ := message(ctx); now != before {
			return "it still says: " + now, nil
		}
		return "", nil
	}))
	require.NoError(t, s.cluster.Patch(ctx, kube.NativePolicies, "", name, `{"metadata":{"annotations":{"example.test/changed":null}}}`))
}

// watch offers one case again and again and counts what is said.
type watch struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu       sync.Mutex
	said     map[string]int
	problems []string
}

// offer starts a watch with about a hundred requests a second.
func (g *gate) offer(ctx context.Context, c guardrails.Case) *watch {
	const parallel, pace = 4, 40 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, said: map[string]int{}}
	for range parallel {
		w.workers.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				a, err := g.Submit(ctx, c)
				if ctx.Err() != nil {
					return
				}
				w.count(a, err)
			}
		})
	}
	return w
}

func (w *watch) count(a guardrails.Answer, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.problems = append(w.problems, err.Error())
		return
	}
	w.said[strings.TrimSpace(string(a.Mechanism)+" "+string(a.Verdict))]++
}

func (w *watch) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.problems)
	for _, count := range w.said {
		n += count
	}
	return n
}

// stop ends the watch; what it saw may be read then.
func (w *watch) stop() {
	w.cancel()
	w.workers.Wait()
}

// reportsStay demands that Kyverno's policies are ready and report about a
// tenant's workload, also after one of them or a native one was made again.
func (s *suite) reportsStay(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	for _, name := range guardrails.Policies() {
		require.NoError(t, s.awaitPolicy(ctx, name, ""))
	}
	// What the policies on other kinds have nothing to say about.
	expected := slices.DeleteFunc(guardrails.Policies(), func(name string) bool {
		return name == string(guardrails.ServiceLabels) || name == string(guardrails.ClusterIP)
	})
	workload := s.deployment(ctx, t, tenants, "nginx-test")
	s.awaitReport(ctx, t, workload, expected, time.Time{})
	name := string(guardrails.NonRoot)
	for _, made := range []struct {
		name     string
		resource schema.GroupVersionResource
	}{
		{"after the native policy was made again", kube.NativePolicies},
		{"after Kyverno's policy was made again", kube.KyvernoPolicies},
	} {
		t.Run(made.name, func(t *testing.T) {
			since := time.Time{}
			if made.resource == kube.KyvernoPolicies {
				// Its results are made again with it; the native policy has none.
				since = time.Now().Truncate(time.Second)
			}
			s.recreate(ctx, t, made.resource, name)
			require.NoError(t, s.awaitPolicy(ctx, name, ""))
			s.awaitReport(ctx, t, workload, []string{name}, since)
			s.awaitReport(ctx, t, workload, expected, time.Time{})
		})
	}
	for _, layer := range []string{guards.AdmissionLayer, guards.PoliciesLayer} {
		require.NoError(t, s.awaitSynced(ctx, layer, ""))
	}
}

// awaitReport waits until a report on the object has a pass of every policy, not
// older than since. The controller judges everything anew when a policy changes,
// with half a processor and in no order: the last of 22 objects had its report
// after 54 s and more, some after more than 76 s, on a machine that did nothing else.
func (s *suite) awaitReport(ctx context.Context, t *testing.T, o *unstructured.Unstructured, policies []string, since time.Time) {
	t.Helper()
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, often, func(ctx context.Context) (string, error) {
		reports, err := s.cluster.List(ctx, kube.PolicyReports, o.GetNamespace())
		if err != nil {
			return "", err
		}
		passed := map[string]bool{}
		for i := range reports {
			if rig.Text(&reports[i], "scope", "kind") != o.GetKind() || rig.Text(&reports[i], "scope", "name") != o.GetName() {
				continue
			}
			results, _, _ := unstructured.NestedSlice(reports[i].Object, "results")
			for _, entry := range results {
				result, _ := entry.(map[string]any)
				seconds, _, _ := unstructured.NestedInt64(result, "timestamp", "seconds")
				policy, _ := result["policy"].(string)
				passed[policy] = passed[policy] || result["result"] == "pass" && !time.Unix(seconds, 0).Before(since)
			}
		}
		for _, policy := range policies {
			if !passed[policy] {
				return fmt.Sprintf("no report on %s %s has a pass of %s: %v", o.GetKind(), o.GetName(), policy, passed), nil
			}
		}
		return "", nil
	}))
	t.Logf("the report was there after %s", time.Since(start).Round(100*time.Millisecond))
}
