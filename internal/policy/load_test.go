package policy

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

var update = flag.Bool("update", false, "write the golden files")

func TestThePoliciesKeepTheirNames(t *testing.T) {
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	var loaded []string
	for _, p := range policies {
		loaded = append(loaded, p.Name)
		assert.Equal(t, p.Name, p.Native.Name)
		assert.Equal(t, p.Name, p.Binding.Name)
		assert.Equal(t, p.Name, p.Binding.Spec.PolicyName)
	}
	assert.Equal(t, names, loaded)
}

func TestTheNativeObjectsAreAsReviewed(t *testing.T) {
	const golden = "testdata/native.golden"
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	var got bytes.Buffer
	for _, p := range policies {
		for _, o := range p.NativeObjects() {
			text, err := yaml.Marshal(o)
			require.NoError(t, err)
			got.WriteString("---\n")
			got.Write(text)
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String(), "run with -update and read the difference")
}

func TestThePoliciesShareTheirMatchConditions(t *testing.T) {
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	first := policies[slices.Index(names, latest)].Native.Spec
	require.NotEmpty(t, first.MatchConditions)
	shared := 0
	for _, p := range policies {
		conditions := p.Native.Spec.MatchConditions
		switch p.Name {
		case clusterIP:
			require.Equal(t, "not-a-route-of-knatives", conditions[4].Name)
			conditions = conditions[:4]
		case privileges:
			conditions = slices.Clone(conditions)
			before, also, found := strings.Cut(conditions[1].Expression, " || object.metadata.?annotations")
			require.True(t, found && strings.Contains(also, "storage-initializer-uid"), also)
			conditions[1].Expression = before
		}
		assert.Equal(t, first.MatchConditions, conditions, p.Name)
		for _, v := range first.Variables {
			for _, other := range p.Native.Spec.Variables {
				if v.Name == "pods" && other.Name == "pods" && p.Name != privileges {
					assert.Equal(t, v, other, p.Name)
					shared++
				}
			}
		}
	}
	assert.Equal(t, 3, shared, "the policies about containers find them in one way")
}

func TestWhatIsWrittenIsNotSharedWithWhatIsRendered(t *testing.T) {
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	p := policies[0]
	at(p.NativeObjects()[0], "metadata", "labels")["x"] = "y"
	assert.NotContains(t, p.Native.Labels, "x")
	assert.NotContains(t, at(p.Kyverno, "metadata", "labels"), "app.kubernetes.io/managed-by")
	assert.Equal(t, "Deny", at(p.Kyverno, "spec")["validationActions"].([]any)[0])
}

// minimal is the smallest policy that loads.
const minimal = `apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata:
  name: minimal
spec:
  validationActions: [Deny]
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: neuroscale.dev/tenant, operator: Exists}]
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  variables:
    - {name: hosts, expression: "object.spec.?hostNetwork.orValue(false)"}
  validations:
    - {expression: "!variables.hosts", message: no host network}
`

func files(text string) fs.FS {
	return fstest.MapFS{"policies/minimal.yaml": {Data: []byte(text)}}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		old, now string
		says     []string
		lost     bool
	}{
		"a field of Kyverno's alone": {"  failurePolicy: Fail", "  failurePolicy: Fail\n  autogen: {podControllers: {controllers: []}}",
			[]string{"spec.autogen cannot be carried over to a ValidatingAdmissionPolicy"}, true},
		"every field of Kyverno's alone": {"  failurePolicy: Fail", "  failurePolicy: Fail\n  autogen: {}\n  webhookConfiguration: {}",
			[]string{"spec.autogen", "spec.webhookConfiguration"}, true},
		"another mode":           {"  failurePolicy: Fail", "  failurePolicy: Fail\n  evaluation: {mode: JSON}", []string{"spec.evaluation.mode JSON"}, true},
		"admission switched off": {"  failurePolicy: Fail", "  failurePolicy: Fail\n  evaluation: {admission: {enabled: false}}", []string{"spec.evaluation.admission.enabled false"}, true},
		"a library of Kyverno's": {"!variables.hosts", `resource.Get('v1', 'pods', 'a', 'b') == null`,
			[]string{"spec.validations[0].expression cannot be carried over", "undeclared reference to 'resource'"}, true},
		"every expression that does not compile": {`object.spec.?hostNetwork.orValue(false)"`, `object.("`,
			[]string{"spec.variables[0] (hosts) cannot be carried over", "Syntax error"}, true},
		"a validation that is no condition": {"!variables.hosts", "'yes'", []string{"must evaluate to bool but got string"}, true},
		"a message that is no text": {"message: no host network", "message: no host network, messageExpression: '1'",
			[]string{"spec.validations[0].messageExpression", "must evaluate to string but got int"}, true},
		"a match condition with a variable": {"  variables:", "  matchConditions: [{name: m, expression: variables.hosts}]\n  variables:",
			[]string{"spec.matchConditions[0] (m)", "undefined field 'hosts'"}, true},
		"an unknown field":       {"metadata:", "metadata:\n  nmae: x", []string{`unknown field "metadata.nmae"`}, false},
		"a field in other case":  {"validationActions:", "ValidationActions:", []string{"spec.ValidationActions"}, true},
		"a key twice":            {"  failurePolicy: Fail", "  failurePolicy: Fail\n  failurePolicy: Fail", []string{"failurePolicy"}, false},
		"another kind":           {"kind: ValidatingPolicy", "kind: ClusterPolicy", []string{`kind "ClusterPolicy": write policies.kyverno.io/v1, ValidatingPolicy`}, false},
		"another name":           {"name: minimal", "name: maximal", []string{`metadata.name is "maximal": a policy is in the file of its name`}, false},
		"no name":                {"name: minimal", "name: ''", []string{"metadata.name is empty"}, false},
		"a failure that admits":  {"failurePolicy: Fail", "failurePolicy: Ignore", []string{"spec.failurePolicy is not Fail"}, false},
		"no failure policy":      {"  failurePolicy: Fail\n", "", []string{"spec.failurePolicy is not Fail"}, false},
		"an audit":               {"[Deny]", "[Audit]", []string{"spec.validationActions is [Audit]: write [Deny]"}, false},
		"no action":              {"[Deny]", "[]", []string{"spec.validationActions is []"}, false},
		"no message":             {", message: no host network", "", []string{"spec.validations[0].message is empty"}, false},
		"every namespace":        {"matchExpressions: [{key: neuroscale.dev/tenant, operator: Exists}]", "{}", []string{"spec.matchConstraints.namespaceSelector: write"}, false},
		"one namespace":          {"operator: Exists", "operator: In, values: [default]", []string{"spec.matchConstraints.namespaceSelector: write"}, false},
		"one version":            {"    namespaceSelector:", "    matchPolicy: Exact\n    namespaceSelector:", []string{`spec.matchConstraints.matchPolicy is "Exact"`}, false},
		"no kinds":               {`- {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}`, "[]", []string{"spec.matchConstraints.resourceRules is empty"}, false},
		"two documents":          {"  name: minimal", "  name: minimal\n---", []string{"more than one document"}, false},
		"what is no YAML":        {"metadata:", "metadata: [", []string{"yaml"}, false},
		"several things at once": {"  validationActions: [Deny]\n  failurePolicy: Fail", "  validationActions: [Warn]", []string{"spec.failurePolicy", "spec.validationActions"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, minimal, c.old)
			_, err := Load(files(strings.Replace(minimal, c.old, c.now, 1)))
			require.Error(t, err)
			assert.Contains(t, err.Error(), "policies/minimal.yaml: ")
			for _, s := range c.says {
				assert.Contains(t, err.Error(), s)
			}
			var lost *NotCarriedOverError
			assert.Equal(t, c.lost, errors.As(err, &lost), err)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		_, err := Load(fstest.MapFS{"policies/README.md": {}})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "policies: no policies")
	})
	t.Run("the minimal one not", func(t *testing.T) {
		policies, err := Load(files("# A comment\n---\n" + minimal))
		require.NoError(t, err)
		assert.Len(t, policies, 1)
	})
}

func TestAnEngineNamesThePolicyAndTheExpression(t *testing.T) {
	policies, err := Load(files(minimal))
	require.NoError(t, err)
	native := policies[0].Native.DeepCopy()
	native.Spec.Validations[0].Expression = "variables.nothing"
	_, err = NewEngine([]*Policy{{Name: "by-hand", Native: native, Binding: policies[0].Binding}})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "by-hand: spec.validations[0].expression")
	assert.Contains(t, err.Error(), "undefined field 'nothing'")

	_, err = NewEngine(nil)
	require.Error(t, err)
}

func TestNormalIsACopyWithoutEmptyKeys(t *testing.T) {
	in := map[string]any{"a": nil, "b": 1.0, "c": 1.5, "d": []any{nil, 2}, "e": map[string]any{"f": nil, "g": "h"}, "big": 1e30}
	out := Normal(in)
	assert.Equal(t, map[string]any{"b": int64(1), "c": 1.5, "d": []any{nil, int64(2)}, "e": map[string]any{"g": "h"}, "big": 1e30}, out)
	at(out, "e")["g"] = "changed"
	assert.Equal(t, "h", at(in, "e")["g"])
}
