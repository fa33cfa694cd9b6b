package guard

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	kubeyaml "sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

var platformPolicies = sync.OnceValues(func() ([]*policy.Policy, error) { return policy.Load(gitops.FS) })

// rules are the platform's own policies.
func rules(t testing.TB) []rule {
	t.Helper()
	policies, err := platformPolicies()
	require.NoError(t, err)
	var all []rule
	for _, p := range policies {
		all = append(all, rule{p.Name, p.Kyverno})
	}
	return all
}

// pretended is a verdict by the document's name alone: bad-POLICY is refused by
// that policy and by no other.
func pretended(name, policy string) verdict {
	if strings.HasPrefix(name, "bad-"+policy) {
		return verdict{refused, "is bad"}
	}
	return verdict{outcome: passed}
}

// library is a second engine that follows the table of kinds; silent are the
// policies that match nothing in it.
type library struct {
	silent []string
	// opposes are names of documents it gives the other verdict on.
	opposes []string
	err     error
}

func (l library) evaluate(_ context.Context, d *document) (map[string]verdict, error) {
	all := map[string]verdict{}
	for _, p := range slices.Sorted(maps.Keys(coverage)) {
		if !covers(p, d) || slices.Contains(l.silent, p) {
			continue
		}
		all[p] = pretended(d.name, p)
		if slices.Contains(l.opposes, d.name) {
			all[p] = verdict{refused, "is bad to the library"}
		}
	}
	return all, l.err
}

type anySchema struct{}

func (anySchema) validate(*document) []schemaProblem { return nil }

const pinned = "v1.19.1"

// reported is one result in Kyverno's report, with the document it is about.
type reported struct {
	Policy    string           `json:"policy"`
	Result    outcome          `json:"result"`
	Message   string           `json:"message"`
	Resources []map[string]any `json:"resources"`
}

func (r reported) name() string { return r.Resources[0]["name"].(string) }

// pretendKyverno behaves like Kyverno's command line as far as guard can tell:
// it reads what was staged, and answers by pretended. change may spoil the
// answer.
func pretendKyverno(t testing.TB, change func(*answer, []reported) []reported) *kyverno {
	return &kyverno{version: pinned, processes: 2, run: func(_ context.Context, args ...string) (answer, error) {
		if args[0] == "version" {
			return answer{stdout: []byte("Version: " + pinned + "\nTime: ---\n")}, nil
		}
		var policies []string
		var results []reported
		for i, a := range args {
			if base := filepath.Base(a); strings.HasPrefix(base, "policy-") {
				policies = append(policies, strings.TrimSuffix(strings.TrimPrefix(base, "policy-"), ".yaml"))
			}
			if a != "--resource" {
				continue
			}
			data, err := os.ReadFile(args[i+1])
			require.NoError(t, err)
			for text := range strings.SplitSeq(string(data), "---\n") {
				var o map[string]any
				require.NoError(t, kubeyaml.Unmarshal([]byte(text), &o))
				if o == nil {
					continue
				}
				d := &document{object: o}
				require.Empty(t, d.identify())
				for _, p := range policies {
					if v := pretended(d.name, p); covers(p, d) {
						results = append(results, reported{p, v.outcome, v.message, []map[string]any{
							{"apiVersion": d.apiVersion, "kind": d.kind, "namespace": d.namespace, "name": d.name},
						}})
					}
				}
			}
		}
		a := answer{code: 1}
		if change != nil {
			results = change(&a, results)
		}
		if a.stdout == nil {
			var err error
			a.stdout, err = json.Marshal(map[string]any{"kind": "ClusterReport", "results": results})
			require.NoError(t, err)
		}
		return a, nil
	}}
}

// folder is a new one with these files.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}

var tenants = &tenancy{
	tenants: config.Default().Tenants, namespace: "default",
	kinds:    []string{"ConfigMap", "Service", "apps/Deployment", inferenceService},
	excluded: []string{"kyverno", "team-b-*"},
}

// check runs guard on a folder with these files.
func check(t testing.TB, files map[string]string, change func(*engines)) *Report {
	t.Helper()
	t.Chdir(folder(t, files))
	return checkAt(t, Options{Paths: []string{"."}}, change)
}

func checkAt(t testing.TB, o Options, change func(*engines)) *Report {
	t.Helper()
	e := engines{policies: rules(t), kyverno: pretendKyverno(t, nil), native: library{}, schemas: anySchema{}}
	if change != nil {
		change(&e)
	}
	r, err := run(context.Background(), o, tenants, e)
	require.NoError(t, err)
	assert.Equal(t, r.Passed, r.Err() == nil)
	return r
}

// messages are the findings as lines.
func messages(r *Report) []string {
	var lines []string
	for _, f := range r.Findings {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", f.Level, f.Rule, cmpOr(f.where(), "-"), f.Message)))
	}
	return lines
}

func deployment(name string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %s
  labels: {owner: a, cost-center: b}
spec:
  selector: {matchLabels: {app: x}}
  template:
    metadata:
      labels: {app: x, owner: a, cost-center: b}
    spec:
      containers:
        - name: c
          image: registry.example/c:1
          securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {cpu: 10m, memory: 32Mi}
`, name)
}
