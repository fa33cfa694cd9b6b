package guardrails

import (
	"context"
	"slices"
	"testing"

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
	for _, d := range c.Read() {
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
		require.Len(t, verdicts, len(Policies()), c.ID)
		for _, v := range verdicts {
			assert.NoError(t, v.Err, c.ID)
			if !v.Allowed {
				assert.Equal(t, Admit, result, "%s is refused by %s too: %s", c.ID, v.Policy, v.Message)
				assert.NotEmpty(t, v.Message, c.ID)
				result, detail = Verdict(v.Policy), v.Message
			}
		}
	}
	return result, detail
}
