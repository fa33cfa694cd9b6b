package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

func TestBadInputIsOneSentenceAndExitCodeOne(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		setup func(*machine)
		want  string
	}{
		"unknown command":            {args: []string{"upp"}, want: `neuroscale: unknown command "upp" (did you mean "up"?): there are backup, bench, ca, config, cost, destroy, doctor, endpoints, forge, forward, guard, keys, kubeconfig, new, passwords, predict, preview, render, restore, status, top, up, verify, version`},
		"unknown flag":               {args: []string{"up", "--foo"}, want: "neuroscale: unknown flag: --foo: see `neuroscale up --help`"},
		"extra argument":             {args: []string{"preview", "ci"}, want: `neuroscale: preview takes no arguments: remove "ci"`},
		"missing argument":           {args: []string{"predict"}, want: "neuroscale: predict takes 1 argument(s) (NAME), got 0: see `neuroscale predict --help`"},
		"unknown format":             {args: []string{"preview", "-o", "xml"}, want: "neuroscale: -o xml is unknown: use text or json or markdown"},
		"unknown stack":              {args: []string{"up", "-s", "devv"}, want: `neuroscale: no stack "devv" (did you mean "dev"?): the stacks here are ci, dev; create Pulumi.devv.yaml for another one`},
		"unknown layer":              {args: []string{"render", "knativ"}, want: `neuroscale: unknown layer "knativ" (did you mean "knative"?): there are argocd, doorkeeper, knative, kserve, kserve-runtimes, admission, tenancy, prometheus, opencost, kyverno, policies, portal, guard, dashboards`},
		"unknown target":             {args: []string{"bench", "--only", "drifd"}, want: `neuroscale: --only drifd is unknown (did you mean "drift"?): there are`},
		"costs by nothing":           {args: []string{"cost", "--by", "team"}, want: "neuroscale: --by team is unknown: use owner, cost-center, tenant, endpoint"},
		"costs of a moment":          {args: []string{"cost", "--window", "1m"}, want: "neuroscale: --window 1m is unknown: use 24h, 7d, month, or a time from 5m to 32d, which is how long measurements are kept (neuroscale:cost.retention)"},
		"costs of longer than known": {args: []string{"cost", "--window", "33d"}, want: "neuroscale: --window 33d is unknown"},
		"estimates by owner":         {args: []string{"cost", "--estimate", "--by", "owner"}, want: "neuroscale: --estimate is of endpoints: leave out --by owner"},
		"costs before up":            {args: []string{"cost"}, want: "run `neuroscale up -s ci` first"},
		"top before up":              {args: []string{"top"}, want: "run `neuroscale up -s ci` first"},
		"costs that are not measured": {
			args:  []string{"cost"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cost:\n    enabled: false\n") },
			want:  "neuroscale: neuroscale:cost.enabled is false in Pulumi.ci.yaml, so nothing is measured: write true and run `neuroscale up`",
		},
		"unknown key": {
			args:  []string{"up"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forg:\n    nodePort: 1\n") },
			want:  "neuroscale: Pulumi.ci.yaml: neuroscale:forg is not a key of the configuration: did you mean forge?",
		},
		"unknown key in a preview": {
			args:  []string{"preview"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forge:\n    nodeport: 30082\n") },
			want:  "did you mean nodePort?",
		},
		"settings are no YAML": {
			args:  []string{"up"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "\tconfig") },
			want:  "neuroscale: Pulumi.ci.yaml is not YAML",
		},
		"missing kubeconfig": {
			args:  []string{"up"},
			setup: func(m *machine) { m.env["KUBECONFIG"] = "/nowhere/kubeconfig" },
			want:  "neuroscale: the kubeconfig /nowhere/kubeconfig does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG",
		},
		"kubeconfig of nothing": {
			args: []string{"up"},
			setup: func(m *machine) {
				require.NoError(m.t, os.WriteFile(m.env["KUBECONFIG"], []byte(`{"apiVersion":"v1","kind":"Config"}`), 0o600))
			},
			want: "names no cluster: point KUBECONFIG or neuroscale:cluster.kubeconfig at one that does",
		},
		"unreachable cluster": {
			args:  []string{"up"},
			setup: func(m *machine) { m.api.Close() },
			want:  "does not answer (connect: connection refused): start it, or point KUBECONFIG or neuroscale:cluster.kubeconfig at one that runs",
		},
		"status of a cluster in Docker that was never made": {
			args: []string{"status", "-s", "dev"},
			want: "run `neuroscale up -s dev` first",
		},
		"restoring into a cluster in Docker": {
			args:  []string{"restore", "platform.backup", "-s", "dev"},
			setup: func(m *machine) { m.env[passphraseVariable] = "hush, that is a secret" },
			want:  `neuroscale:cluster.provider of stack dev is "docker": write "existing"`,
		},
		"not a checkout":    {args: []string{"-C", "/", "up"}, want: "no Pulumi.yaml in / or above it"},
		"predict before up": {args: []string{"predict", "demo-iris-2"}, want: "run `neuroscale up -s ci` first"},
		"destroy of an unreachable cluster": {
			args:  []string{"destroy", "--yes"},
			setup: func(m *machine) { m.up(); m.api.Close() },
			want:  "if it is gone for good, run `neuroscale destroy -s ci --unreachable`",
		},
		"destroy with nobody to ask": {
			args:  []string{"destroy"},
			setup: func(m *machine) { m.up() },
			want:  "there is no terminal to ask on: pass --yes",
		},
		"destroy with the wrong answer": {
			args:  []string{"destroy"},
			setup: func(m *machine) { m.up(); m.ask, m.input = true, "yes\n" },
			want:  `"yes" is not "ci": nothing was deleted`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls := fakepulumi.Install(t, fakepulumi.Script{})
			m := newMachine(t)
			if c.setup != nil {
				c.setup(m)
			}
			code, out, errout := m.run(c.args...)
			assert.Equal(t, 1, code)
			assert.Contains(t, errout, c.want)
			assert.Empty(t, out)
			last := strings.TrimSpace(errout)
			assert.NotContains(t, last[strings.LastIndex(last, "neuroscale: "):], "\n", "one sentence")
			for _, line := range calls.Lines(t) {
				assert.True(t, line == "" || line == "version", "nothing may have been done, but pulumi %s", line)
			}
		})
	}
}

const urn = "urn:pulumi:ci::neuroscale::"

// The engine also counts the stack, components and providers.
func TestAllCommandsCountTheSameResources(t *testing.T) {
	engine := func(op apitype.OpType) fakepulumi.Script {
		list := events(op, "a", "b")
		list[len(list)-1].SummaryEvent.ResourceChanges[op] += 3
		return fakepulumi.Script{Events: list}
	}
	for _, test := range []struct {
		op   apitype.OpType
		args string
		want string
	}{
		{apitype.OpCreate, "preview", "stack ci: 2 to create ("},
		{apitype.OpCreate, "up --skip-predict", "stack ci is up: 2 resources in"},
		{apitype.OpSame, "preview", "nothing to change: the 2 resources of stack ci"},
		{apitype.OpSame, "up --skip-predict", "nothing to change: the 2 resources of stack ci"},
		{apitype.OpDelete, "destroy --yes", "stack ci is destroyed: 2 resources deleted"},
	} {
		m := newMachine(t)
		script := engine(test.op)
		script.Outputs = m.outputs("http://10.88.0.2:30080")
		fakepulumi.Install(t, script)
		if test.op == apitype.OpDelete {
			m.up()
		}
		code, out, errout := m.run(strings.Fields(test.args)...)
		require.Equal(t, 0, code, errout)
		assert.Contains(t, out, test.want, test.args)
	}
}

func TestDestroyAsksForTheStacksName(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.ask, m.input = true, "ci\n"
	calls := fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpDelete, "a", "b")})
	code, out, errout := m.run("destroy")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "stack ci is destroyed: 2 resources deleted in")
	assert.Contains(t, strings.Join(calls.Lines(t), "\n"), "destroy --parallel")
}

func TestDestroyFreesWhatWaitsForAControllerThatIsGone(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.stuck = filepath.Join(m.root, "freed")
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpDelete, "a"), Until: m.stuck})
	code, _, errout := m.run("destroy", "--yes")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, errout, "Ingress default/iris")
	text, err := os.ReadFile(m.stuck)
	require.NoError(t, err, "nobody let go of it: the destroy would have hung")
	assert.JSONEq(t, `{"metadata":{"finalizers":[]}}`, string(text))
}

func TestDestroySaysWhatSomebodyHoldsUp(t *testing.T) {
	held := func(namespace, at string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMapList","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","namespace":%q,
			"finalizers":["theirs.example/x"],"deletionTimestamp":%q}}]}`, namespace, at)
	}
	const path, says = "/api/v1/namespaces/default/configmaps", "ConfigMap held in namespace default is deleted, but the finalizer theirs.example/x holds it up"
	for name, test := range map[string]struct {
		script fakepulumi.Script
		at     string
		want   []string
	}{
		"what was waited for in vain": {fakepulumi.Script{Fail: map[string]string{"destroy": "error: timed out"}}, "2026-01-01T00:00:00Z", []string{"timed out", says}},
		"what nothing waited for":     {fakepulumi.Script{Events: events(apitype.OpDelete, "a")}, "2026-01-01T00:00:00Z", []string{"stack ci is destroyed, but", says}},
		"what is about to go":         {fakepulumi.Script{Events: events(apitype.OpDelete, "a")}, time.Now().UTC().Add(time.Hour).Format(time.RFC3339), nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.up()
			m.answers[path] = held("default", test.at)
			fakepulumi.Install(t, test.script)
			code, _, errout := m.run("destroy", "--yes")
			assert.Equal(t, len(test.want) > 0, code != 0, errout)
			for _, want := range test.want {
				assert.Contains(t, errout, want)
			}
		})
	}
}

func TestDestroyOfNothingIsNoError(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, _ := newMachine(t).run("destroy", "--yes")
	assert.Equal(t, 0, code)
	assert.Equal(t, "nothing to destroy: stack ci was never up\n", out)
}

func TestVersionIsReadByPrograms(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, _ := newMachine(t).run("version", "-o", "json")
	require.Equal(t, 0, code)
	var v versionReport
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Equal(t, "v3.220.0", v.Pulumi)
	assert.NotEmpty(t, v.Go)
}

func TestAReleasedProgramSaysWhichOneItIs(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	release, commit = "v1.2.3", "0123abc"
	t.Cleanup(func() { release, commit = "", "" })
	code, out, _ := newMachine(t).run("version")
	require.Equal(t, 0, code)
	assert.Contains(t, out, "neuroscale v1.2.3\ncommit     0123abc\n")
	code, out, _ = newMachine(t).run("version", "-o", "json")
	require.Equal(t, 0, code)
	assert.Contains(t, out, "\"version\": \"v1.2.3\",\n  \"commit\": \"0123abc\",\n  \"go\"", "what releases are checked by")
}

func TestHelpNamesEveryCommand(t *testing.T) {
	code, out, _ := newMachine(t).run("--help")
	require.Equal(t, 0, code)
	for _, name := range []string{"up", "preview", "destroy", "predict", "new", "passwords", "render", "guard", "bench", "version"} {
		assert.Regexp(t, `(?m)^  `+name+` `, out)
	}
}

func TestRenderPrintsTheLayerWithTheStacksSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads upstream modules")
	}
	m := newMachine(t)
	hashes := func() map[string]string {
		all := map[string]string{}
		for _, layer := range []string{"admission", "argocd", "knative", "kserve", "kserve-runtimes", "kyverno", "policies", "tenancy"} {
			code, out, errout := m.run("render", layer, "-o", "json")
			require.Equal(t, 0, code, errout)
			var tree struct {
				Layer   string           `json:"layer"`
				Hash    string           `json:"hash"`
				Objects []map[string]any `json:"objects"`
			}
			require.NoError(t, json.Unmarshal([]byte(out), &tree))
			assert.Equal(t, layer, tree.Layer)
			assert.NotEmpty(t, tree.Objects, layer)
			all[layer] = tree.Hash
		}
		return all
	}
	before := hashes()
	for setting, want := range map[string][]string{
		"gitops: {nodePort: 31081}":               {"argocd"},
		"serving: {domain: models.example.org}":   {"knative", "kserve"},
		"serving: {gateway: {nodePort: 31080}}":   {"knative"},
		"serving: {defaultResources: {cpu: 75m}}": {"kserve"},
		"tenants: [{quota: {pods: 21}}]":          {"tenancy"},
		"serving: {authFailure: open}":            {"knative"},
		"serving: {keyRequestsPerMinute: 9}":      nil,
		"endpoints: {requeueSeconds: 9}":          nil,
		"forge: {nodePort: 31082, storage: 2Gi}":  nil,
	} {
		m.write("Pulumi.ci.yaml", "config:\n  neuroscale:"+setting+"\n")
		var changed []string
		for layer, hash := range hashes() {
			if hash != before[layer] {
				changed = append(changed, layer)
			}
		}
		assert.ElementsMatch(t, want, changed, setting)
	}
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:serving:\n    domain: models.example.org\n")
	for layer, version := range map[string]string{"knative": "knative-serving", "kserve": "kserve"} {
		code, out, _ := m.run("render", layer)
		require.Equal(t, 0, code)
		assert.Regexp(t, `^# layer `+layer+`, `+version+` v\d`, out)
		assert.Contains(t, out, "models.example.org")
	}
}

var irisChoice = predict.Choice{
	Examples: []string{"demo-iris-2"}, Namespace: "default",
	Key: func(context.Context) (string, error) { return platformKey, nil },
}
