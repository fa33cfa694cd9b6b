package preview

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
)

var update = flag.Bool("update", false, "write the golden files")

const urn = "urn:pulumi:ci::neuroscale::"

// step is one resource of a preview, in the layer knative.
type step struct {
	op     apitype.OpType
	name   string
	inputs map[string]any
	diffs  []string
}

// previewEvents are what the engine says; from and to are the layers' hashes by
// name before and after.
func previewEvents(from, to map[string]string, steps ...step) []apitype.EngineEvent {
	const root = urn + "pulumi:pulumi:Stack::neuroscale-ci"
	const layer = urn + "neuroscale:platform:Layer::knative"
	list := []apitype.EngineEvent{{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpSame, URN: layer, Type: "neuroscale:platform:Layer", New: &apitype.StepEventStateMetadata{Parent: root},
	}}}}
	changes := map[apitype.OpType]int{}
	for _, s := range steps {
		state := &apitype.StepEventStateMetadata{Custom: true, Parent: layer, Inputs: s.inputs}
		m := apitype.StepEventMetadata{
			Op: s.op, URN: urn + "neuroscale:platform:Layer$kubernetes:core/v1:ConfigMap::" + s.name,
			Type: "kubernetes:core/v1:ConfigMap", New: state, Diffs: s.diffs,
		}
		if s.op == apitype.OpDelete {
			m.Old, m.New = state, nil
		}
		changes[s.op]++
		list = append(list, apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}})
	}
	state := func(hashes map[string]string) *apitype.StepEventStateMetadata {
		layers := map[string]any{}
		for name, hash := range hashes {
			layers[name] = map[string]any{"version": name + " v1.0.0", "hash": hash}
		}
		return &apitype.StepEventStateMetadata{Outputs: map[string]any{"layers": layers, "forgePassword": "[secret]"}}
	}
	return append(list,
		apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
			Op: apitype.OpSame, URN: root, Type: "pulumi:pulumi:Stack", Old: state(from), New: state(to),
		}}},
		apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{ResourceChanges: changes}})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// preview is the report of stack ci on events.
func preview(events []apitype.EngineEvent) *Report { return previewOf("ci", events) }

func previewOf(stack string, events []apitype.EngineEvent) *Report {
	recording := Record("layers")
	changes := automation.Changes{}
	for _, e := range events {
		recording.Observe(e)
		if e.SummaryEvent != nil {
			for op, n := range e.SummaryEvent.ResourceChanges {
				changes[string(op)] = n
			}
		}
	}
	return recording.Report(stack, automation.Result{Changed: changes.Any(), Changes: changes})
}

func encode(t *testing.T, r *Report) []byte {
	t.Helper()
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	return raw
}

func markdown(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.Markdown(&b))
	return b.String()
}

// since is the report on events compared with base, as it was printed.
func since(t *testing.T, base []byte, events []apitype.EngineEvent) *Report {
	t.Helper()
	before, err := Read(base)
	require.NoError(t, err)
	r := preview(events)
	require.NoError(t, r.Since(before))
	return r
}

var (
	secretive = map[string]any{"data": map[string]any{"password": "hunter2"}, "metadata": "a"}
	plain     = map[string]any{"metadata": "b"}
)

func TestACommentNamesWhatChangesAndNoValue(t *testing.T) {
	out := markdown(t, preview(previewEvents(
		map[string]string{"knative": "aaaaaaaaaaaa", "kserve": "cccccccccccc", "old": "dddddddddddd"},
		map[string]string{"knative": "bbbbbbbbbbbb", "kserve": "cccccccccccc", "kyverno": "eeeeeeeeeeee"},
		step{op: apitype.OpCreate, name: "made", inputs: secretive},
		step{op: apitype.OpUpdate, name: "upd|ated`", inputs: plain, diffs: []string{"data", "metadata"}},
		step{op: apitype.OpReplace, name: "replaced", inputs: plain, diffs: []string{"spec"}},
		step{op: apitype.OpDelete, name: "gone", inputs: secretive},
		step{op: apitype.OpSame, name: "kept", inputs: plain},
	)))
	assert.True(t, strings.HasPrefix(out, "<!-- neuroscale-preview -->\n"), "the comment is found by its first line")
	assert.NotContains(t, out, "hunter2")
	golden(t, "preview.md", out)
}

func TestACommentWithoutChangesSaysSo(t *testing.T) {
	hashes := map[string]string{"knative": "aaaaaaaaaaaa"}
	out := markdown(t, preview(previewEvents(hashes, hashes, step{op: apitype.OpSame, name: "kept", inputs: plain})))
	assert.Equal(t, "<!-- neuroscale-preview -->\n### Preview of stack `ci`\n\nNothing to change: the 1 resources are as wanted.\n", out)
}

func TestACommentIsCutToWhatGitHubTakes(t *testing.T) {
	var steps []step
	for range 5 {
		for _, c := range strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMN", "") {
			steps = append(steps, step{op: apitype.OpCreate, name: strings.Repeat(c, 63), inputs: plain})
		}
	}
	out := markdown(t, preview(previewEvents(nil, nil, steps...)))
	assert.Less(t, len(out), 65536)
	assert.Contains(t, out, "80 more are not listed: see `neuroscale preview -s ci`.")
	assert.Contains(t, out, "| `knative` | 380 |", "the counts are of all")
}

// Without a cluster and without state everything is to be created; against the
// preview of another commit only what that one would not have made is.
func TestSinceAnotherPreviewOnlyItsDifferencesAreChanges(t *testing.T) {
	changed := maps.Clone(secretive)
	changed["data"], changed["more"] = map[string]any{"password": "hunter3"}, true
	base := encode(t, preview(previewEvents(nil, map[string]string{"knative": "aaaaaaaaaaaa", "old": "dddddddddddd"},
		step{op: apitype.OpCreate, name: "changed", inputs: secretive},
		step{op: apitype.OpCreate, name: "gone", inputs: plain},
		step{op: apitype.OpCreate, name: "kept", inputs: plain},
	)))
	assert.NotContains(t, string(base), "hunter2")

	head := previewEvents(nil, map[string]string{"knative": "bbbbbbbbbbbb"},
		step{op: apitype.OpCreate, name: "changed", inputs: changed},
		step{op: apitype.OpCreate, name: "made", inputs: plain},
		step{op: apitype.OpCreate, name: "kept", inputs: plain},
	)
	r := since(t, base, head)
	golden(t, "base.md", markdown(t, r))
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	assert.Regexp(t, `(?s)^knative: 1 to create, 1 to update, 1 to delete, 1 unchanged
  update  ConfigMap  changed  data, more
  create  ConfigMap  made
  delete  ConfigMap  gone

stack ci: 1 to create, 1 to update, 1 to delete, 1 unchanged \(`, text.String())
	assert.True(t, r.Base && r.Changed)
	assert.Equal(t, map[string]Move{
		"knative": {Version: "knative v1.0.0", From: "aaaaaaaaaaaa", To: "bbbbbbbbbbbb"},
		"old":     {Version: "old v1.0.0", From: "dddddddddddd"},
	}, r.Trees)
	assert.Contains(t, markdown(t, since(t, encode(t, preview(head)), head)),
		"Nothing to change, compared with the base: the 3 resources are as wanted.")
}

func TestSinceSomethingElseIsAnError(t *testing.T) {
	head := previewEvents(nil, nil, step{op: apitype.OpCreate, name: "made", inputs: plain})
	for text, want := range map[string]string{
		"### Preview":                           "it is not the -o json of a preview: ",
		"":                                      "it is not the -o json of a preview: ",
		`{"stack":"ci","changes":{"create":3}}`: "it names no resources: make it with `neuroscale preview -o json`",
	} {
		_, err := Read([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	require.EqualError(t, preview(head).Since(previewOf("dev", head)), "it is a preview of stack dev, not of ci: make it with -s ci")
	require.EqualError(t, preview(nil).Since(preview(head)), "the preview itself has no resources, so there is nothing to compare")
}

func TestWhatOthersDidIsNamedAndCounted(t *testing.T) {
	r := &Report{
		Stack: "ci", Changed: true, Changes: automation.Changes{"same": 169},
		Drift: []automation.Drift{{Kind: "ConfigMap", Namespace: "argocd", Name: "settings", Gone: true}},
	}
	var text, comment strings.Builder
	require.NoError(t, r.Text(&text))
	assert.Contains(t, text.String(), "put back by `up`:\n  ConfigMap argocd/settings is gone\n")
	assert.Contains(t, text.String(), "stack ci: 1 to put back, 169 unchanged")
	require.NoError(t, r.Markdown(&comment))
	assert.Contains(t, comment.String(), "- `ConfigMap argocd/settings is gone`\n")
	assert.Contains(t, comment.String(), "**1 to put back, 169 unchanged**")
}
