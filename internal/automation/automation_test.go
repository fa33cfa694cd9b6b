package automation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestMain(m *testing.M) {
	fakepulumi.Main()
	os.Exit(m.Run())
}

const settingsOfCI = "config:\n  neuroscale:cluster:\n    provider: existing\n"

// checkout is a project of its own, with its state in another folder.
func checkout(t *testing.T) (root, state string) {
	t.Helper()
	root, state = t.TempDir(), filepath.Join(t.TempDir(), "state")
	for name, text := range map[string]string{
		"Pulumi.yaml": "name: neuroscale\nruntime: go\n", "Pulumi.ci.yaml": settingsOfCI, "Pulumi.dev.yaml": "config: {}\n",
		"Pulumi.cloud.example.yaml": "config: {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
	}
	return root, state
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func open(t *testing.T, root, state string, log *slog.Logger) *Stack {
	t.Helper()
	project, err := FindProject(root)
	require.NoError(t, err)
	s, err := Open(context.Background(), Options{
		Project: project, Stack: "ci", Program: func(*pulumi.Context) error { return nil }, Log: log,
		Getenv: environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}),
	})
	require.NoError(t, err)
	return s
}

func TestFindProjectWalksUpAndLeavesTemplatesOut(t *testing.T) {
	root, _ := checkout(t)
	deep := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	p, err := FindProject(deep)
	require.NoError(t, err)
	assert.Equal(t, &Project{Root: root, Name: "neuroscale", Stacks: []string{"ci", "dev"}}, p)
}

func TestFindProjectSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"no project":   {"", "no Pulumi.yaml in"},
		"not yaml":     {"\tname: x", "is not YAML"},
		"without name": {"runtime: go\n", "has no name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte(c.file), 0o644))
			}
			_, err := FindProject(dir)
			assert.ErrorContains(t, err, c.want)
		})
	}
	_, err := FindProject("/does/not/exist")
	assert.ErrorContains(t, err, "does not exist: pass the checkout with -C")
}

func TestWrongStackNameListsTheStacksAndTheNearest(t *testing.T) {
	root, _ := checkout(t)
	p, err := FindProject(root)
	require.NoError(t, err)
	_, err = p.StackFile("devv")
	assert.EqualError(t, err, `no stack "devv" (did you mean "dev"?): the stacks here are ci, dev; create Pulumi.devv.yaml for another one`)
}

// encryptedState is that of one stack, as far as it says how it is encrypted.
func encryptedState(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, ".pulumi", "stacks", "neuroscale", "ci.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(`{"version":3,"checkpoint":{"latest":{"secrets_providers":{"type":"passphrase"}}}}`), 0o600))
}

func TestPreviewOfAStackThatNeverWasLeavesNothingBehind(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{Events: stepEvents(7)})
	root, state := checkout(t)
	r, err := open(t, root, state, nil).Preview(context.Background(), PreviewOptions{}, nil)
	require.NoError(t, err)
	assert.Equal(t, Changes{"create": 7}, r.Changes)
	assert.NoDirExists(t, state)
	scratch, _, _ := strings.Cut(strings.TrimPrefix(calls.Environment(t, "PULUMI_BACKEND_URL"), "file://"), "?")
	assert.NotEqual(t, state, scratch)
	assert.Equal(t, "400", calls.Environment(t, "GOGC"), "the engine collects garbage more than it works")
	assert.NoDirExists(t, scratch)
}

// stepEvents are those of an operation that makes as many resources, in one
// component, with one provider. The engine's summary counts these two as well.
func stepEvents(resources int) []apitype.EngineEvent {
	const urn = "urn:pulumi:ci::neuroscale::"
	var list []apitype.EngineEvent
	begin := func(token, name string, custom bool) {
		list = append(list, apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
			Op: apitype.OpCreate, URN: urn + token + "::" + name, Type: token, New: &apitype.StepEventStateMetadata{Custom: custom},
		}}})
	}
	begin("neuroscale:platform:Cluster", "cluster", false)
	begin("pulumi:providers:kubernetes", "cluster", true)
	for i := range resources {
		begin("kubernetes:core/v1:ConfigMap", fmt.Sprint(i), true)
	}
	return append(list, apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
		ResourceChanges: map[apitype.OpType]int{apitype.OpCreate: resources + 2},
	}})
}

func TestEveryOperationCountsTheSameResources(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{Events: stepEvents(3)})
	root, state := checkout(t)
	stack := open(t, root, state, nil)
	before, err := stack.Preview(t.Context(), PreviewOptions{}, nil)
	require.NoError(t, err)
	after, err := stack.Up(t.Context(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.Equal(t, Changes{"create": 3}, before.Changes)
	assert.Equal(t, before.Changes, after.Changes)
	assert.True(t, before.Changed && after.Changed)
}

func TestOnlyAProviderThatChangesIsAChange(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{Events: stepEvents(0)})
	root, state := checkout(t)
	r, err := open(t, root, state, nil).Up(t.Context(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.Empty(t, r.Changes)
	assert.True(t, r.Changed)
}

func TestWhatIsDeletedIsNoResourceAnyMore(t *testing.T) {
	assert.Equal(t, 171, Changes{"same": 169, "create": 1, "replace": 1, "delete": 5}.Resources())
}

func TestChangesOfOnlySameAreNone(t *testing.T) {
	assert.False(t, Changes{"same": 200}.Any())
	assert.False(t, Changes{"same": 200, "create": 0}.Any())
	assert.True(t, Changes{"same": 200, "update": 1}.Any())
}

func TestFailuresAreSentencesWithTheResourceAndTheReason(t *testing.T) {
	const urn = "urn:pulumi:ci::neuroscale::neuroscale:platform:Layer$kubernetes:batch/v1:Job::layer-knative-abc"
	diagnostic := func(urn, message string) apitype.EngineEvent {
		return apitype.EngineEvent{DiagnosticEvent: &apitype.DiagnosticEvent{URN: urn, Message: message, Severity: "error"}}
	}
	for name, c := range map[string]struct {
		script fakepulumi.Script
		want   string
	}{
		"a resource": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{
					diagnostic(urn, "<{%reset%}>the Job failed: BackoffLimitExceeded<{%reset%}>\n"),
					diagnostic("urn:pulumi:ci::neuroscale::pulumi:pulumi:Stack::neuroscale-ci", "update failed"),
				},
				Fail: map[string]string{"up": "error: update failed"},
			},
			"up: Job layer-knative-abc: the Job failed: BackoffLimitExceeded",
		},
		"the program": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{diagnostic("urn:pulumi:ci::neuroscale::pulumi:pulumi:Stack::neuroscale-ci",
					"an unhandled error occurred: program failed: \nforge: Args.Image is empty\n\n")},
				Fail: map[string]string{"up": ""},
			},
			"up: forge: Args.Image is empty",
		},
		"the program, as newer engines say it": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{diagnostic("urn:pulumi:ci::neuroscale::pulumi:pulumi:Stack::neuroscale-ci",
					"an unhandled error occurred: 1 error occurred:\n\t* forge: Args.Image is empty\n\n")},
				Fail: map[string]string{"up": ""},
			},
			"up: forge: Args.Image is empty",
		},
		"what GitHub refuses": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{
					diagnostic("urn:pulumi:ci::neuroscale::github:index/repository:Repository::github-a", "sdk-v2/provider2.go:572: sdk.helper_schema: POST https://api.github.com/orgs/acme/repos: 403 No. []: provider=github@6.7.2"),
					diagnostic("urn:pulumi:ci::neuroscale::github:index/repository:Repository::github-a", "1 error occurred:\n\t* POST https://api.github.com/orgs/acme/repos: 403 No. []\n\n"),
				},
				Fail: map[string]string{"up": ""},
			},
			"up: Repository github-a: GitHub answered 403 to POST /orgs/acme/repos (No.): the token may not do that, docs/github.md says what it has to",
		},
		"a token that GitHub does not know, in a refresh": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{
					diagnostic("urn:pulumi:ci::neuroscale::github:index/repository:Repository::github-a", "refreshing urn:pulumi:ci::neuroscale::github:index/repository:Repository::github-a: 1 error occurred:\n\t* GET https://api.github.com/repos/acme/a: 401 Bad credentials []\n\n"),
					diagnostic("urn:pulumi:ci::neuroscale::github:index/branchProtection:BranchProtection::github-a", "non-200 OK status code: 401 Unauthorized body: \"{}\""),
				},
				Fail: map[string]string{"up": ""},
			},
			"up: Repository github-a: GitHub does not know the token (Bad credentials): it is wrong, was revoked or has expired, make another one\n" +
				"BranchProtection github-a: GitHub does not know the token (Unauthorized): it is wrong, was revoked or has expired, make another one",
		},
		"a Job with many pods": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{diagnostic(urn, "3 errors occurred:\n\t* the Job failed\n\t* pod a ended:\nrefused\nrefused\n\t* pod b ended:\nrefused\n1\n2\n3\n4\n\n")},
				Fail:   map[string]string{"up": ""},
			},
			"up: Job layer-knative-abc: the Job failed\n  pod a ended:\n  refused\n  pod b ended:\n  1\n  2\n  (2 more lines)",
		},
		"a Job whose pods say the same": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{diagnostic(urn, "1 error occurred:\n\t* resource \""+urn+"\" was successfully created, but the Kubernetes API server reported that it failed to fully initialize or become live: Resource 'knative-abc' was created but failed to initialize\n"+
					"\t* [Pod forge/a]: containers with unready status: [push]\n\t* [Pod forge/a]: [Error] no such host\n\t* [Pod forge/b]: containers with unready status: [push]\n\t* [Pod forge/b]: [Error] no such host\n\n")},
				Fail: map[string]string{"up": ""},
			},
			"up: Job layer-knative-abc: Resource 'knative-abc' was created but failed to initialize\n  [Pod forge/a]: [Error] no such host",
		},
		"a pod of which nothing else is known": {
			fakepulumi.Script{
				Events: []apitype.EngineEvent{diagnostic(urn, "Resource 'knative-abc' was created but failed to initialize\n[Pod forge/a]: containers with unready status: [push]\n")},
				Fail:   map[string]string{"up": ""},
			},
			"up: Job layer-knative-abc: Resource 'knative-abc' was created but failed to initialize\n  [Pod forge/a]: containers with unready status: [push]",
		},
		"no diagnostics": {
			fakepulumi.Script{Fail: map[string]string{"up": "error: could not write the checkpoint: disk full"}},
			"up: could not write the checkpoint: disk full",
		},
		"killed": {
			fakepulumi.Script{Killed: "up"},
			"up: pulumi was ended (signal: killed): the state has what was done, the same command continues. " +
				"If nobody did that, the machine had too little memory: see `dmesg`",
		},
		"locked meanwhile": {
			fakepulumi.Script{Fail: map[string]string{"up": "error: the stack is currently locked by 1 lock(s)"}},
			"up: stack ci is locked by another run: wait for it to end",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fakepulumi.Install(t, c.script)
			root, state := checkout(t)
			_, err := open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
			assert.EqualError(t, err, c.want)
		})
	}
}

func TestAWrongPassphraseNamesTheVariable(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{Fail: map[string]string{"select": "error: incorrect passphrase"}})
	root, state := checkout(t)
	_, err := open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
	assert.ErrorContains(t, err, "set PULUMI_CONFIG_PASSPHRASE_FILE")
	assert.NotContains(t, err.Error(), "stdout:")
}

func TestWithoutPulumiTheErrorSaysHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	root, _ := checkout(t)
	p, err := FindProject(root)
	require.NoError(t, err)
	_, err = Open(context.Background(), Options{Project: p, Stack: "ci", Getenv: environment(map[string]string{"HOME": "/h"})})
	assert.ErrorContains(t, err, "the pulumi command is not in PATH: install it from")
}

func TestOutputsOfAStackThatIsNotUp(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{Outputs: map[string]any{}})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	_, err := s.Outputs(context.Background())
	assert.ErrorContains(t, err, "has no state in file://")
	writeState(t, state, `{}`)
	_, err = s.Outputs(context.Background())
	assert.EqualError(t, err, "stack ci is not up: run `neuroscale up -s ci`")
}

func writeState(t *testing.T, state, text string) {
	t.Helper()
	dir := filepath.Join(state, ".pulumi", "stacks", "neuroscale")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ci.json"), []byte(text), 0o600))
}

func TestDestroyForgetsAnUnreachableClusterOnlyIfAsked(t *testing.T) {
	for _, unreachable := range []bool{false, true} {
		calls := fakepulumi.Install(t, fakepulumi.Script{})
		root, state := checkout(t)
		writeState(t, state, `{}`)
		_, err := open(t, root, state, nil).Destroy(context.Background(), DestroyOptions{Unreachable: unreachable}, nil)
		require.NoError(t, err)
		assert.Equal(t, unreachable, calls.Environment(t, "PULUMI_K8S_DELETE_UNREACHABLE") == "true")
		for _, line := range calls.Lines(t) {
			assert.NotContains(t, line, "stack rm", "history was not to be removed")
		}
	}
}

// A provider's own setting is stronger than the variable, and there is no cluster for an up
// that would change it.
func TestAStackOfBeforeForgetsAnUnreachableClusterToo(t *testing.T) {
	const before = `{"version":3,"deployment":{"resources":[
		{"type":"pulumi:providers:kubernetes","inputs":{"deleteUnreachable":"false","kubeconfig":"k"},"outputs":{"deleteUnreachable":"false"}},
		{"type":"kubernetes:core/v1:ConfigMap","inputs":{"deleteUnreachable":"mine","n":12345678901234567890}}]}}`
	calls := fakepulumi.Install(t, fakepulumi.Script{State: before})
	root, state := checkout(t)
	writeState(t, state, `{}`)
	s := open(t, root, state, nil)
	_, err := s.Destroy(t.Context(), DestroyOptions{}, nil)
	require.NoError(t, err)
	assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "import", "nobody asked for it")
	_, err = s.Destroy(t.Context(), DestroyOptions{Unreachable: true}, nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":3,"deployment":{"resources":[
		{"type":"pulumi:providers:kubernetes","inputs":{"kubeconfig":"k"},"outputs":{}},
		{"type":"kubernetes:core/v1:ConfigMap","inputs":{"deleteUnreachable":"mine","n":12345678901234567890}}]}}`, calls.Imported(t))
	assert.Contains(t, calls.Imported(t), "12345678901234567890", "a number was rounded")
}

func TestPendingOperationsOfAKilledRunAreClearedAndNamed(t *testing.T) {
	const state = `{"version":3,"deployment":{"pending_operations":[{"type":"creating","resource":{"urn":"urn:pulumi:ci::neuroscale::kubernetes:core/v1:Namespace::forge"}}]}}`
	calls := fakepulumi.Install(t, fakepulumi.Script{State: state})
	root, dir := checkout(t)
	writeState(t, dir, `{"checkpoint":{"latest":{"pending_operations":[{}]}}}`)
	var log strings.Builder
	_, err := open(t, root, dir, slog.New(slog.NewTextHandler(&log, nil))).Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.JSONEq(t, state, calls.Imported(t))
	assert.Contains(t, log.String(), `operation=creating resource="Namespace forge"`)
	lines := strings.Join(calls.Lines(t), "\n")
	assert.Less(t, strings.Index(lines, "stack import"), strings.Index(lines, "up --yes"), "clear before up")
	assert.NotContains(t, lines, "--show-secrets --stack ci\nstack import", "secrets stay encrypted on the way")
}

func TestWhatAKilledRunHadBegunToMakeIsToldBeforeItIsForgotten(t *testing.T) {
	const state = `{"version":3,"deployment":{"pending_operations":[
		{"type":"creating","resource":{"urn":"urn:pulumi:dev::neuroscale::docker:index/container:Container::cluster","type":"docker:index/container:Container","inputs":{"name":"neuroscale-dev","envs":[{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270"}]}}},
		{"type":"deleting","resource":{"urn":"urn:pulumi:dev::neuroscale::docker:index/network:Network::cluster","type":"docker:index/network:Network","inputs":{"name":"neuroscale-dev"}}},
		{"type":"creating","resource":{"urn":"urn:pulumi:dev::neuroscale::kubernetes:core/v1:Namespace::forge","type":"kubernetes:core/v1:Namespace","inputs":{"metadata":{"name":"forge"}}}}]}}`
	calls := fakepulumi.Install(t, fakepulumi.Script{State: state})
	root, dir := checkout(t)
	writeState(t, dir, `{"checkpoint":{"latest":{"pending_operations":[{}]}}}`)
	s := open(t, root, dir, nil)
	var told []string
	s.Abandoned = func(_ context.Context, token string, inputs map[string]any) error {
		told = append(told, fmt.Sprint(token, " ", inputs["name"]))
		return nil
	}
	_, err := s.Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"docker:index/container:Container neuroscale-dev", "kubernetes:core/v1:Namespace <nil>"}, told)

	s.Abandoned = func(context.Context, string, map[string]any) error { return errors.New("it stays") }
	before := strings.Count(strings.Join(calls.Lines(t), "\n"), "stack import")
	_, err = s.Up(context.Background(), UpOptions{}, nil)
	require.EqualError(t, err, "it stays")
	assert.Equal(t, before, strings.Count(strings.Join(calls.Lines(t), "\n"), "stack import"), "what is there would be forgotten")
}

func TestAStateWithoutPendingOperationsIsNotExported(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	writeState(t, state, `{"checkpoint":{"latest":{}}}`)
	_, err := open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "stack export")
}

func writeLock(t *testing.T, state string, l lock) string {
	t.Helper()
	dir := filepath.Join(state, ".pulumi", "locks", "organization", "neuroscale", "ci")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	raw, err := json.Marshal(l)
	require.NoError(t, err)
	file := filepath.Join(dir, "0b5e9c1e.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return file
}

// endedProcess is a process id that no process has any more.
func endedProcess(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func TestWhatTakesTooLongIsASentenceAndNotWhatTheSDKCaptured(t *testing.T) {
	err := (&Stack{}).explain("look at the cluster", errors.Join(context.DeadlineExceeded, errors.New("failed to refresh: signal: interrupt; code: -1; stdout: ;")), nil)
	require.EqualError(t, err, "look at the cluster: no answer in time: context deadline exceeded")
}

func TestInterruptReachesTheEngineOnceAndItMayEnd(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = version ] && { echo v3.220.0; exit; }\ntrap 'echo saved; exit 3' INT\necho started > " +
		filepath.Join(dir, "started") + "\nwhile :; do sleep 0.05; done\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pulumi"), []byte(script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c, err := findPulumi(context.Background())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		assert.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "started")); return err == nil },
			5*time.Second, 10*time.Millisecond)
		cancel()
	}()
	out, _, code, err := c.Run(ctx, dir, nil, nil, nil, nil, "up")
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "saved\n", out)
	assert.Equal(t, 3, code)
}

func TestAnUpStartsPulumiNoMoreThanItMust(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{Outputs: map[string]any{"gatewayUrl": "http://g"}})
	root, state := checkout(t)
	writeState(t, state, `{}`)
	r, err := open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.Equal(t, "http://g", r.Outputs["gatewayUrl"].Value)
	var started []string
	for _, line := range calls.Lines(t) {
		words := strings.Fields(line)
		started = append(started, strings.Join(words[:min(2, len(words))], " "))
	}
	assert.Equal(t, []string{"version", "refresh --yes", "up --yes", "stack output"}, started, "each start costs half a second")
}

func TestAnUpReplacesWhatItIsToldTo(t *testing.T) {
	for name, replace := range map[string][]string{"nothing": nil, "two": {"**::a", "urn:pulumi:ci::neuroscale::t::b"}} {
		calls := fakepulumi.Install(t, fakepulumi.Script{})
		root, state := checkout(t)
		_, err := open(t, root, state, nil).Up(t.Context(), UpOptions{Replace: replace}, nil)
		require.NoError(t, err)
		var got []string
		for _, line := range calls.Lines(t) {
			for _, word := range strings.Fields(line) {
				if urn, ok := strings.CutPrefix(word, "--replace="); ok {
					got = append(got, urn)
				}
			}
		}
		assert.Equal(t, replace, got, name)
	}
}

func TestKnownAreTheCustomResourcesOfTheState(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	assert.Empty(t, s.Known())
	writeState(t, state, `{"checkpoint":{"latest":{"resources":[{"urn":"a","custom":true,"parent":"p"},{"urn":"b"}]}}}`)
	assert.Equal(t, []Resource{{URN: "a", Parent: "p", Custom: true}}, s.Known())
}

// The backend writes these files in two steps; a kill between them made the state
// unreadable for every later run.
func TestAFileCutShortByAKillDoesNotEndTheStack(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	writeState(t, state, `{}`)
	stacks, err := filepath.Glob(filepath.Join(state, ".pulumi", "stacks", "*", "*.json"))
	require.NoError(t, err)
	require.Len(t, stacks, 1)
	cut, whole := stacks[0]+".attrs", stacks[0]+".bak.attrs"
	require.NoError(t, os.WriteFile(cut, nil, 0o600))
	require.NoError(t, os.WriteFile(whole, []byte(`{"md5":"aa"}`), 0o600))
	_, err = open(t, root, state, nil).Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.NoFileExists(t, cut)
	assert.FileExists(t, whole)
	assert.FileExists(t, stacks[0])
}
