package main

import (
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

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

var update = flag.Bool("update", false, "write the golden files")

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

// preview runs the command over events and returns what it printed.
func preview(t *testing.T, events []apitype.EngineEvent, args ...string) string {
	t.Helper()
	fakepulumi.Install(t, fakepulumi.Script{Events: events})
	code, out, errout := newMachine(t).run(append([]string{"preview"}, args...)...)
	require.Equal(t, 0, code, errout)
	return out
}

var (
	secretive = map[string]any{"data": map[string]any{"password": "hunter2"}, "metadata": "a"}
	plain     = map[string]any{"metadata": "b"}
)

func TestPreviewAsAComment(t *testing.T) {
	out := preview(t, previewEvents(
		map[string]string{"knative": "aaaaaaaaaaaa", "kserve": "cccccccccccc", "old": "dddddddddddd"},
		map[string]string{"knative": "bbbbbbbbbbbb", "kserve": "cccccccccccc", "kyverno": "eeeeeeeeeeee"},
		step{op: apitype.OpCreate, name: "made", inputs: secretive},
		step{op: apitype.OpUpdate, name: "upd|ated`", inputs: plain, diffs: []string{"data", "metadata"}},
		step{op: apitype.OpReplace, name: "replaced", inputs: plain, diffs: []string{"spec"}},
		step{op: apitype.OpDelete, name: "gone", inputs: secretive},
		step{op: apitype.OpSame, name: "kept", inputs: plain},
	), "-o", "markdown")
	assert.True(t, strings.HasPrefix(out, "<!-- neuroscale-preview -->\n"), "the comment is found by its first line")
	assert.NotContains(t, out, "hunter2")
	golden(t, "preview.md", out)
}

func TestPreviewAsACommentWithoutChanges(t *testing.T) {
	hashes := map[string]string{"knative": "aaaaaaaaaaaa"}
	out := preview(t, previewEvents(hashes, hashes, step{op: apitype.OpSame, name: "kept", inputs: plain}), "-o", "markdown")
	assert.Equal(t, "<!-- neuroscale-preview -->\n### Preview of stack `ci`\n\nNothing to change: the 1 resources are as wanted.\n", out)
}

func TestPreviewAsACommentIsCutToWhatGitHubTakes(t *testing.T) {
	var steps []step
	for range 5 {
		for _, c := range strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMN", "") {
			steps = append(steps, step{op: apitype.OpCreate, name: strings.Repeat(c, 63), inputs: plain})
		}
	}
	out := preview(t, previewEvents(nil, nil, steps...), "-o", "markdown")
	assert.Less(t, len(out), 65536)
	assert.Contains(t, out, "80 more are not listed: see `neuroscale preview -s ci`.")
	assert.Contains(t, out, "| `knative` | 380 |", "the counts are of all")
}

// Without a cluster and without state everything is to be created; against the
// preview of another commit only what that one would not have made is.
func TestPreviewSinceAnotherPreview(t *testing.T) {
	changed := maps.Clone(secretive)
	changed["data"], changed["more"] = map[string]any{"password": "hunter3"}, true
	base := preview(t, previewEvents(nil, map[string]string{"knative": "aaaaaaaaaaaa", "old": "dddddddddddd"},
		step{op: apitype.OpCreate, name: "changed", inputs: secretive},
		step{op: apitype.OpCreate, name: "gone", inputs: plain},
		step{op: apitype.OpCreate, name: "kept", inputs: plain},
	), "-o", "json")
	assert.NotContains(t, base, "hunter2")
	file := filepath.Join(t.TempDir(), "base.json")
	require.NoError(t, os.WriteFile(file, []byte(base), 0o600))

	head := previewEvents(nil, map[string]string{"knative": "bbbbbbbbbbbb"},
		step{op: apitype.OpCreate, name: "changed", inputs: changed},
		step{op: apitype.OpCreate, name: "made", inputs: plain},
		step{op: apitype.OpCreate, name: "kept", inputs: plain},
	)
	golden(t, "preview-base.md", preview(t, head, "-o", "markdown", "--base", file))
	assert.Regexp(t, `(?s)^knative: 1 to create, 1 to update, 1 to delete, 1 unchanged
  update  ConfigMap  changed  data, more
  create  ConfigMap  made
  delete  ConfigMap  gone

stack ci: 1 to create, 1 to update, 1 to delete, 1 unchanged \(`, preview(t, head, "--base", file))

	var report previewReport
	require.NoError(t, json.Unmarshal([]byte(preview(t, head, "-o", "json", "--base", file)), &report))
	assert.True(t, report.Base && report.Changed)
	assert.Equal(t, map[string]treeMove{
		"knative": {Version: "knative v1.0.0", From: "aaaaaaaaaaaa", To: "bbbbbbbbbbbb"},
		"old":     {Version: "old v1.0.0", From: "dddddddddddd"},
	}, report.Trees)

	require.NoError(t, os.WriteFile(file, []byte(preview(t, head, "-o", "json")), 0o600))
	assert.Contains(t, preview(t, head, "-o", "markdown", "--base", file), "Nothing to change, compared with the base: the 3 resources are as wanted.")
}

func TestPreviewSinceSomethingElseIsAnError(t *testing.T) {
	head := previewEvents(nil, nil, step{op: apitype.OpCreate, name: "made", inputs: plain})
	other := preview(t, head, "-o", "json", "-s", "dev")
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":       {"### Preview", "is not the -o json of a preview: "},
		"empty":         {"", "is not the -o json of a preview: "},
		"an older one":  {`{"stack":"ci","changes":{"create":3}}`, "names no resources: make it with `neuroscale preview -o json`"},
		"another stack": {other, "it is a preview of stack dev, not of ci: make it with -s ci"},
	} {
		t.Run(name, func(t *testing.T) {
			fakepulumi.Install(t, fakepulumi.Script{Events: head})
			file := filepath.Join(t.TempDir(), "base.json")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			code, out, errout := newMachine(t).run("preview", "-o", "markdown", "--base", file)
			assert.Equal(t, 1, code)
			assert.Empty(t, out)
			assert.Contains(t, errout, "neuroscale: --base "+file)
			assert.Contains(t, errout, c.want)
		})
	}
	fakepulumi.Install(t, fakepulumi.Script{Events: head})
	code, _, errout := newMachine(t).run("preview", "--base", "/nowhere.json")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "read the preview to compare with (--base): ")
}
