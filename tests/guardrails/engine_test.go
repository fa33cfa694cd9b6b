package guardrails

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

func policies(t *testing.T) []*policy.Policy {
	t.Helper()
	all, err := policy.Load(gitops.FS)
	require.NoError(t, err)
	return all
}

func TestTheCorpusKnowsEveryPolicy(t *testing.T) {
	var names []string
	for _, p := range policies(t) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	assert.Equal(t, Policies(), names)
}

// What has the wrong type is no question to the policies: it does not reach them.
func TestNativePoliciesSayWhatTheyHaveToSay(t *testing.T) {
	engine, err := policy.NewEngine(policies(t))
	require.NoError(t, err)
	var asked []Case
	var verdicts []Verdict
	var details []string
	for _, c := range corpus(t) {
		if c.Want == Schema || c.Want == API {
			continue
		}
		v, detail := judged(t.Context(), t, engine, c)
		asked, verdicts, details = append(asked, c), append(verdicts, v), append(details, detail)
	}
	assert.Greater(t, len(asked), 500)
	assert.Empty(t, Compare(Engine, asked, verdicts, details))
}

// judged is the one policy that refuses a document of the case. Were there two,
// the case would not be about one fault.
func judged(ctx context.Context, t *testing.T, engine *policy.Engine, c Case) (Verdict, string) {
	t.Helper()
	result, detail := Admit, ""
	for _, v := range evaluate(ctx, t, engine, c) {
		assert.NoError(t, v.Err, c.ID)
		if !v.Allowed {
			assert.Equal(t, Admit, result, "%s is refused by %s too: %s", c.ID, v.Policy, v.Message)
			assert.NotEmpty(t, v.Message, c.ID)
			result, detail = Verdict(v.Policy), v.Message
		}
	}
	return result, detail
}

// evaluate is every policy's verdict on every document of the case.
func evaluate(ctx context.Context, t *testing.T, engine *policy.Engine, c Case) []policy.Verdict {
	t.Helper()
	var all []policy.Verdict
	for _, d := range documentsOf(t)[c.ID] {
		require.NotNil(t, d.Object, c.ID)
		request := policy.Request{Object: d.Object, Namespace: c.Namespace}
		if c.Namespace == namespaces.Tenant {
			request.NamespaceLabels = map[string]string{policy.TenantLabel: c.Namespace}
		}
		if c.Operation != Create {
			request.Operation, request.OldObject = "UPDATE", Base(c.Shape, c.Namespace)
		}
		if c.Operation == Debug {
			request.SubResource = "ephemeralcontainers"
		}
		verdicts, err := engine.Evaluate(ctx, request)
		require.NoError(t, err, c.ID)
		require.NotEmpty(t, verdicts, c.ID)
		all = append(all, verdicts...)
	}
	return all
}

// documentsOf are the documents of every case, read once.
var documentsOf = func() func(t *testing.T) map[string][]Document {
	var all map[string][]Document
	return func(t *testing.T) map[string][]Document {
		t.Helper()
		if all == nil {
			all = map[string][]Document{}
			for _, c := range corpus(t) {
				all[c.ID] = c.Read()
			}
		}
		return all
	}
}()

// words are what a policy cannot judge without. Each is there in one at least.
var words = []string{
	"pods", "replicationcontrollers", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs",
	"inferenceservices", "servingruntimes", "services", "pods/ephemeralcontainers", "CREATE", "UPDATE",
	"Pod", "CronJob", "InferenceService", "predictor", "transformer", "explainer", "workerSpec",
	"model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle", "art",
	"containers", "initContainers", "ephemeralContainers", "volumes", "image", "runtimeVersion", "latest",
	"priorityClassName", "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "annotations", "jobTemplate",
	"type", "ClusterIP", "externalIPs", "loadBalancerIP", "externalName",
	"runAsNonRoot", "runAsUser", "allowPrivilegeEscalation", "securityContext", "requests", "limits", "cpu", "memory", "owner", "cost-center", "template",
}

// TestTheCorpusNoticesWhatAPolicyForgets makes policies forget one word each, in
// what they match and how they look at it, and demands that the corpus tells.
func TestTheCorpusNoticesWhatAPolicyForgets(t *testing.T) {
	all := corpus(t)
	forgotten := map[string]int{}
	for _, p := range policies(t) {
		for _, word := range words {
			text, changed := forgetful(t, p, word)
			if !changed {
				continue
			}
			forgotten[word]++
			t.Run(p.Name+" forgets "+word, func(t *testing.T) {
				mutants, err := policy.Load(fstest.MapFS{"policies/" + p.Name + ".yaml": {Data: text}})
				if err != nil {
					return // Noticed before it judges anything.
				}
				engine, err := policy.NewEngine(mutants)
				require.NoError(t, err)
				assert.True(t, notices(t.Context(), t, engine, p.Name, all), "the corpus says the same about the policy without the word")
			})
		}
	}
	for _, word := range words {
		assert.NotZero(t, forgotten[word], "no policy has the word %s", word)
	}
}

// forgetful is a policy's text without a word, and whether it had the word.
func forgetful(t *testing.T, p *policy.Policy, word string) (text []byte, changed bool) {
	t.Helper()
	expression := regexp.MustCompile(`([^\w/-])` + regexp.QuoteMeta(word) + `([^\w/-])`)
	spec := maps.Clone(p.Kyverno["spec"].(object))
	for _, field := range []string{"matchConstraints", "variables"} {
		before, err := json.Marshal(spec[field])
		require.NoError(t, err)
		after := expression.ReplaceAll(before, []byte("${1}forgotten${2}"))
		changed = changed || string(after) != string(before)
		var value any
		require.NoError(t, json.Unmarshal(after, &value))
		spec[field] = value
	}
	mutant := maps.Clone(p.Kyverno)
	mutant["spec"] = spec
	text, err := json.Marshal(mutant)
	require.NoError(t, err)
	return text, changed
}

// notices says whether the one policy of an engine is wrong about some case.
func notices(ctx context.Context, t *testing.T, engine *policy.Engine, name string, all []Case) bool {
	t.Helper()
	for _, c := range all {
		if c.Want != Verdict(name) && c.Want != Admit {
			continue
		}
		refused := slices.ContainsFunc(evaluate(ctx, t, engine, c), func(v policy.Verdict) bool { return !v.Allowed })
		if refused != (c.Want == Verdict(name)) {
			return true
		}
	}
	return false
}
