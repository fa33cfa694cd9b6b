package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

const root = "disallow-root-containers"

var oneDeployment = map[string]string{"apps/a/d.yaml": deployment("good")}

func TestAGoodDocumentPassesWithEveryVerdictCounted(t *testing.T) {
	r := check(t, oneDeployment, nil)
	assert.Empty(t, messages(r))
	assert.True(t, r.Passed)
	assert.Equal(t, []PolicyCount{
		{"disallow-cluster-privileges", 1, 1, 1, 0},
		{"disallow-latest-image-tag", 1, 1, 1, 0},
		{root, 1, 1, 1, 0},
		{"require-cluster-ip-services", 0, 0, 0, 0},
		{"require-resource-requests-limits", 1, 1, 1, 0},
		{"require-standard-labels-deployment", 1, 1, 1, 0},
		{"require-standard-labels-inferenceservice", 0, 0, 0, 0},
	}, r.Policies)
	assert.Equal(t, 42, r.ProbesExpected)
	assert.Equal(t, 42, r.Probes)
}

func TestARefusalNamesPolicyFileAndObject(t *testing.T) {
	r := check(t, map[string]string{"apps/a/d.yaml": service + "---\n" + deployment("bad-"+root+"-x")}, nil)
	assert.Equal(t, []Finding{{root, Error, "apps/a/d.yaml", 5, "Deployment default/bad-" + root + "-x", "is bad"}}, r.Findings)
	assert.EqualError(t, r.Err(), "guard found 1 error in 2 objects")
}

// mine is a result on the test's own document under the policy.
func mine(r reported, policy string) bool { return r.name() == "good" && r.Policy == policy }

func TestAToolThatDidNotJudgeIsNeverAPass(t *testing.T) {
	drop := func(which func(reported) bool) func(*answer, []reported) []reported {
		return func(_ *answer, all []reported) []reported { return slices.DeleteFunc(all, which) }
	}
	set := func(which func(reported) bool, o outcome) func(*answer, []reported) []reported {
		return func(_ *answer, all []reported) []reported {
			for i := range all {
				if which(all[i]) {
					all[i].Result = o
				}
			}
			return all
		}
	}
	say := func(code int, stdout, stderr string) func(*answer, []reported) []reported {
		return func(a *answer, all []reported) []reported {
			*a = answer{[]byte(stdout), []byte(stderr), code}
			return all
		}
	}
	for name, test := range map[string]struct {
		change func(*answer, []reported) []reported
		want   string
	}{
		"nothing matched":                  {say(0, "", ""), "error kyverno - Kyverno's command line printed no report (exit code 0): it wrote nothing"},
		"nothing matched, as a report":     {drop(func(reported) bool { return true }), "error accounting apps/a/d.yaml:1 Kyverno gave no verdict under policy disallow-root-containers (nothing): the document was not checked"},
		"one verdict missing":              {drop(func(r reported) bool { return mine(r, root) }), "error accounting apps/a/d.yaml:1 Kyverno gave no verdict under policy disallow-root-containers (nothing): the document was not checked"},
		"one verdict skipped":              {set(func(r reported) bool { return mine(r, root) }, skipped), "error accounting apps/a/d.yaml:1 Kyverno gave no verdict under policy disallow-root-containers (skip): the document was not checked"},
		"one verdict a warning":            {set(func(r reported) bool { return mine(r, root) }, "warn"), "error accounting apps/a/d.yaml:1 Kyverno gave no verdict under policy disallow-root-containers (warn): the document was not checked"},
		"an error in a policy":             {set(func(r reported) bool { return mine(r, root) }, failed), "error disallow-root-containers apps/a/d.yaml:1 Kyverno cannot judge it:"},
		"a verdict that is not the others": {set(func(r reported) bool { return mine(r, root) }, refused), "error agreement apps/a/d.yaml:1 is refused by Kyverno and admitted by the API server's library under policy disallow-root-containers:"},
		"a bad probe admitted":             {set(func(r reported) bool { return r.name() == "bad-"+root }, passed), "error probe - Kyverno answers admitted for the built-in bad-disallow-root-containers under policy disallow-root-containers, which has to be refused: nothing this run says about the policy can be believed"},
		"a good probe refused":             {set(func(r reported) bool { return r.name() == "good-deployment" }, refused), "error probe - Kyverno answers refused for the built-in good-deployment under policy disallow-root-containers, which has to be admitted: nothing this run says about the policy can be believed"},
		"a probe missing":                  {drop(func(r reported) bool { return r.name() == "bad-"+root && r.Policy == root }), "error probe - Kyverno answers nothing for the built-in bad-disallow-root-containers under policy disallow-root-containers, which has to be refused: nothing this run says about the policy can be believed"},
		"a panic":                          {say(2, "", "panic: already exists\n\ngoroutine 1"), "error kyverno - Kyverno's command line ended with exit code 2: panic: already exists goroutine 1"},
		"a panic after a report":           {func(a *answer, all []reported) []reported { a.code = 2; return all }, "error kyverno - Kyverno's command line ended with exit code 2: "},
		"killed":                           {say(-1, "", ""), "error kyverno - Kyverno's command line ended with exit code -1: it wrote nothing"},
		"its error":                        {say(1, "", "Error: failed to load resources"), "error kyverno - Kyverno's command line printed no report (exit code 1): Error: failed to load resources"},
		"garbage":                          {say(1, "{nonsense", ""), "error kyverno - Kyverno's command line printed no report (exit code 1): {nonsense"},
		"half a report":                    {say(1, `{"kind":"ClusterReport","results":[{"policy":`, ""), "error kyverno - Kyverno's command line printed no report (exit code 1): "},
		"another report":                   {say(1, `{"kind":"PolicyReport","results":[]}`, ""), `error kyverno - Kyverno's command line printed a "PolicyReport" instead of a ClusterReport: `},
		"words after the report":           {say(1, `{"kind":"ClusterReport","results":[]} Policies Skipped: 1`, ""), "error kyverno - Kyverno's command line printed more than its report: Policies Skipped: 1"},
		"a document that nobody gave it": {func(_ *answer, all []reported) []reported {
			return append(all, reported{root, passed, "", []map[string]any{{"apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "x"}}})
		}, "error accounting - Kyverno judged v1/Pod/default/x under policy disallow-root-containers, which it was not given"},
		"a refusal next to a pass": {func(_ *answer, all []reported) []reported {
			for _, r := range all {
				if mine(r, root) {
					r.Result = refused
					return append([]reported{r}, all...)
				}
			}
			return all
		}, "error agreement apps/a/d.yaml:1 is refused by Kyverno and admitted by the API server's library under policy disallow-root-containers:"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, oneDeployment, func(e *engines) { e.kyverno = pretendKyverno(t, test.change) })
			assert.False(t, r.Passed)
			found := slices.ContainsFunc(messages(r), func(m string) bool { return strings.HasPrefix(m, test.want) })
			assert.True(t, found, "%s\nis not in\n%s", test.want, strings.Join(messages(r), "\n"))
		})
	}
}

func TestTheSecondEngineHasToJudgeToo(t *testing.T) {
	for name, test := range map[string]struct {
		engine library
		want   string
	}{
		"a policy that matches nothing": {library{silent: []string{root}}, "error accounting apps/a/d.yaml:1 policy disallow-root-containers does not judge this apps/Deployment in the API server's library, though it has to: correct what the policy matches"},
		"its probes with it":            {library{silent: []string{root}}, "error probe - the API server's library answers nothing for the built-in bad-disallow-root-containers under policy disallow-root-containers, which has to be refused: nothing this run says about the policy can be believed"},
		"another verdict":               {library{opposes: []string{"good"}}, "error agreement apps/a/d.yaml:1 is admitted by Kyverno and refused by the API server's library under policy disallow-root-containers: is bad to the library"},
		"an error":                      {library{err: errors.New("no such field")}, "error native apps/a/d.yaml:1 cannot be judged by the API server's library: no such field"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, oneDeployment, func(e *engines) { e.native = test.engine })
			assert.False(t, r.Passed)
			assert.Contains(t, messages(r), test.want)
		})
	}
}

func TestWithoutKyvernoTheOtherEngineStillSaysWhatIsBad(t *testing.T) {
	r := check(t, map[string]string{"apps/a/d.yaml": deployment("bad-" + root)}, func(e *engines) {
		_, err := findKyverno(filepath.Join(t.TempDir(), "nothing"), pinned)
		require.Error(t, err)
		e.kyverno.run = broken(err)
	})
	assert.Len(t, r.Findings, 2)
	assert.Equal(t, RuleKyverno, r.Findings[0].Rule)
	assert.Contains(t, r.Findings[0].Message, "Kyverno's command line is not there")
	assert.Contains(t, r.Findings[0].Message, "put kubectl-kyverno v1.19.1 on PATH or name it in NEUROSCALE_KYVERNO")
	assert.Equal(t, Finding{root, Error, "apps/a/d.yaml", 1, "Deployment default/bad-" + root, "is bad"}, r.Findings[1])
}

func TestAnotherVersionOfKyvernoIsRefused(t *testing.T) {
	for answered, want := range map[string]string{
		"Version: v1.19.1\n":       "",
		"Version: 1.19.1\nTime: x": "",
		"Version: v1.19.0\n":       "Kyverno's command line is v1.19.0, but gitops/upstream.yaml pins v1.19.1: install that one",
		"hello":                    "Kyverno's command line does not say its version (exit code 0): hello",
		"":                         "Kyverno's command line does not say its version (exit code 0): it wrote nothing",
	} {
		k := &kyverno{version: pinned, run: func(context.Context, ...string) (answer, error) { return answer{stdout: []byte(answered)}, nil }}
		err := k.check(context.Background())
		if want == "" {
			assert.NoError(t, err, answered)
		} else {
			assert.EqualError(t, err, want)
		}
	}
}

func TestAProgramThatHangsIsEndedAndNamed(t *testing.T) {
	script := filepath.Join(t.TempDir(), "hang")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755))
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errors.New("no answer in 1m0s"))
	defer cancel()
	k := &kyverno{run: program(script), version: pinned, processes: 1}
	_, err := k.apply(ctx, nil, nil, nil)
	assert.EqualError(t, err, "run Kyverno's command line: no answer in 1m0s")
}

func TestThePoliciesAndTheTableHaveToBeTheSame(t *testing.T) {
	r := check(t, oneDeployment, func(e *engines) {
		e.policies = append(slices.DeleteFunc(e.policies, func(p rule) bool { return p.name == root }), rule{"new", e.policies[0].kyverno})
	})
	assert.Contains(t, messages(r), "error accounting - policy disallow-root-containers is missing in gitops/policies, so nothing checks what it forbids")
	assert.Contains(t, messages(r), "error accounting - policy new is not in the table of kinds that policies have to judge: add it to internal/guard/coverage.go")
	assert.Contains(t, messages(r), "error probe - policy new has no built-in bad document to prove itself on: add one to internal/samples")
}

// Each folder becomes an Application, whatever is in it.
func TestMoreFoldersThanATenantMayHaveAreRefused(t *testing.T) {
	full := map[string]string{}
	for i := range config.Default().Tenants[0].Quota.Applications {
		full[fmt.Sprintf("apps/f%d/c.yaml", i)] = fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}}", i)
	}
	full["apps/f0/more.yaml"] = "{apiVersion: v1, kind: ConfigMap, metadata: {name: more}}"
	assert.True(t, check(t, full, nil).Passed, "as many as there may be")
	full["apps/one-more/c.yaml"] = "{apiVersion: v1, kind: ConfigMap, metadata: {name: one-more}}"
	assert.Equal(t, []string{"error quota - tenant default has 51 folders, each of which becomes an Application, of at most 50: " +
		"remove some, or have neuroscale:tenants[].quota.applications raised"}, messages(check(t, full, nil)))
}

func TestASchemaProblemIsAtItsLine(t *testing.T) {
	r := check(t, oneDeployment, func(e *engines) { e.schemas = oneProblem{"spec.template.spec.containers[0].image", "is no image"} })
	assert.Equal(t, []string{"error schema apps/a/d.yaml:14 spec.template.spec.containers[0].image: is no image"}, messages(r))
}

type oneProblem schemaProblem

func (p oneProblem) validate(*document) []schemaProblem { return []schemaProblem{schemaProblem(p)} }

func TestWorkIsSplitByPolicyAndEveryPolicyProvesItself(t *testing.T) {
	policies, probes := rules(t), builtIn()
	var documents []*document
	judges := map[*document][]string{}
	for i := range 100 {
		d := &document{name: fmt.Sprint(i)}
		documents = append(documents, d)
		switch {
		case i < 70:
			judges[d] = []string{"disallow-latest-image-tag", root}
		case i < 80:
			judges[d] = []string{root}
		}
	}
	seen := map[*document]int{}
	proven := map[string]bool{}
	for _, b := range batches(policies, judges, documents, probes, 2) {
		for _, d := range b.documents {
			seen[d]++
		}
		for _, p := range b.policies {
			for _, c := range b.probes {
				proven[p.name] = proven[p.name] || c.refusedBy == p.name
			}
		}
	}
	assert.Len(t, seen, 80)
	for d, n := range seen {
		assert.Equal(t, 1, n, d.name)
	}
	for _, p := range policies {
		assert.True(t, proven[p.name], p.name)
	}
}

func TestLanesAreEquallyLongAndGroupsStayTogether(t *testing.T) {
	group := func(n int) *batch { return &batch{documents: make([]*document, n)} }
	for name, test := range map[string]struct {
		groups    []*batch
		processes int
		want      string
	}{
		"nothing":                 {nil, 2, ""},
		"only probes":             {[]*batch{group(0)}, 2, "0:0"},
		"few":                     {[]*batch{group(5), group(6)}, 2, "0:5 0:6"},
		"one group":               {[]*batch{group(1001)}, 2, "0:501 1:500"},
		"two alike":               {[]*batch{group(500), group(500)}, 2, "0:500 1:500"},
		"a large and a small":     {[]*batch{group(700), group(300)}, 2, "0:500 1:200 1:300"},
		"probes last":             {[]*batch{group(100), group(0)}, 2, "0:50 1:50 1:0"},
		"more processes":          {[]*batch{group(90), group(30)}, 4, "0:30 1:30 2:30 3:30"},
		"one process":             {[]*batch{group(90), group(30)}, 1, "0:90 0:30"},
		"a number that is uneven": {[]*batch{group(31), group(31), group(29)}, 3, "0:31 1:31 2:29"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, b := range lanes(test.groups, test.processes) {
				got = append(got, fmt.Sprintf("%d:%d", b.lane, len(b.documents)))
			}
			assert.Equal(t, test.want, strings.Join(got, " "))
		})
	}
}

func TestAReportThatDoesNotAddUpIsNoPass(t *testing.T) {
	good := func() *Report {
		return &Report{
			Documents: []DocumentReport{{}}, Policies: []PolicyCount{{Name: "p", Expected: 1, Kyverno: 1, Native: 1}},
			Probes: 2, ProbesExpected: 2,
		}
	}
	require.NoError(t, good().Err())
	none := 0
	for want, change := range map[string]func(*Report){
		"guard checked nothing: there are 0 objects and 1 policy":                                                 func(r *Report) { r.Documents = nil },
		"guard checked nothing: there are 1 object and 0 policies":                                                func(r *Report) { r.Policies = nil },
		"guard did not prove itself: 1 of 2 verdicts on built-in documents were right":                            func(r *Report) { r.Probes = 1 },
		"guard did not prove itself: 0 of 0 verdicts on built-in documents were right":                            func(r *Report) { r.Probes, r.ProbesExpected = 0, 0 },
		"guard did not check everything: of 1 verdicts of policy p Kyverno gave 0 and the API server's library 1": func(r *Report) { r.Policies[0].Kyverno = 0 },
		"guard did not check everything: of 1 verdicts of policy p Kyverno gave 1 and the API server's library 2": func(r *Report) { r.Policies[0].Native = 2 },
		"guard did not check everything: the cluster judged 0 of 1 objects":                                       func(r *Report) { r.Cluster = &none },
		"guard did not compare with main":                                                                         func(r *Report) { r.Base = "main" },
		"guard found 1 error in 1 object":                                                                         func(r *Report) { r.Findings = []Finding{{Level: Error}, {Level: Warning}} },
	} {
		r := good()
		change(r)
		assert.EqualError(t, r.Err(), want)
	}
}

func TestStagedDocumentsSurviveTheirNamesAndText(t *testing.T) {
	d := &document{object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "c", "namespace": "default", "labels": nil},
		"data":     map[string]any{"a": "x\n---\nkind: List\n{{ braces }}"},
	}}
	require.Empty(t, d.identify())
	folder := t.TempDir()
	_, err := stage(folder, nil, labels([]*document{d}), []*document{d})
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(folder, "resources.yaml"))
	require.NoError(t, err)
	documents, problems := parse("resources.yaml", data)
	require.Empty(t, problems)
	require.Len(t, documents, 1)
	got, err := json.Marshal(documents[0].object["data"])
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":"x\n---\nkind: List\n{{ braces }}"}`, string(got))
	assert.NotContains(t, documents[0].object["metadata"], "labels")
}

func TestKyvernoJudgesByTheExpressionsAsTheyAreWritten(t *testing.T) {
	for _, p := range rules(t) {
		before, after := p.kyverno["spec"].(map[string]any), forFiles(p.kyverno)["spec"].(map[string]any)
		assert.Equal(t, before["variables"], after["variables"], p.name)
		assert.Equal(t, before["matchConstraints"], after["matchConstraints"], p.name)
		for i, v := range before["validations"].([]any) {
			assert.Equal(t, v.(map[string]any)["expression"], after["validations"].([]any)[i].(map[string]any)["expression"], p.name)
			assert.NotEmpty(t, v.(map[string]any)["messageExpression"], "the policy itself must stay as it is")
		}
	}
}
