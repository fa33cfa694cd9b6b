package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/preview"
)

func TestPreviewListsLayersAndCounts(t *testing.T) {
	m := newMachine(t)
	m.api.Close() // no cluster is needed
	delete(m.env, "KUBECONFIG")
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-b", "layer-a")})
	code, out, errout := m.run("preview")
	require.Equal(t, 0, code, errout)
	assert.Regexp(t, `^knative: 2 to create\n  create  Job  layer-a\n  create  Job  layer-b\n\nstack ci: 2 to create \(`, out)

	code, out, _ = m.run("preview", "-o", "json")
	require.Equal(t, 0, code)
	var report preview.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, report.Changed)
	assert.Equal(t, "knative", report.Layers[0].Name)
	assert.Len(t, report.Layers[0].Resources, 2)
	entries, err := os.ReadDir(m.env["HOME"])
	require.NoError(t, err)
	assert.Len(t, entries, 1, "a preview leaves no state behind, only the kubeconfig was there")
}

func TestPreviewComparesWithTheOneItIsGiven(t *testing.T) {
	m := newMachine(t)
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-a")})
	code, base, errout := m.run("preview", "-o", "json")
	require.Equal(t, 0, code, errout)
	file := filepath.Join(m.root, "base.json")
	m.write("base.json", base)

	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-b", "layer-a")})
	code, out, errout := m.run("preview", "--base", file, "-o", "markdown")
	require.Equal(t, 0, code, errout)
	assert.True(t, strings.HasPrefix(out, "<!-- neuroscale-preview -->\n"), "the comment is found by its first line")
	assert.Contains(t, out, "**1 to create, 1 unchanged**, compared with the base.")

	m.write("none.json", "{}")
	for given, want := range map[string]string{
		"/nowhere.json":                      "neuroscale: read the preview to compare with (--base): ",
		filepath.Join(m.root, "none.json"):   "none.json: it names no resources: make it with ",
		filepath.Join(m.root, "Pulumi.yaml"): "Pulumi.yaml: it is not the -o json of a preview: ",
	} {
		code, out, errout := m.run("preview", "--base", given)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errout, want)
	}
	m.write("base.json", strings.Replace(base, `"stack": "ci"`, `"stack": "dev"`, 1))
	_, _, errout = m.run("preview", "--base", file)
	assert.Contains(t, errout, "neuroscale: --base "+file+": it is a preview of stack dev, not of ci: make it with -s ci")
}

func TestPreviewLooksAtTheClusterIfItCan(t *testing.T) {
	looked := func(calls *fakepulumi.Calls) bool {
		return slices.ContainsFunc(calls.Lines(t), func(line string) bool { return strings.HasPrefix(line, "refresh ") })
	}
	gone := apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpDelete, Type: "kubernetes:core/v1:ConfigMap", Old: &apitype.StepEventStateMetadata{Custom: true, ID: "argocd/settings"},
	}}}
	script := fakepulumi.Script{Events: events(apitype.OpSame, "a"), Refreshed: []apitype.EngineEvent{gone}}
	for name, test := range map[string]struct {
		args   []string
		silent bool // the cluster does not answer
		never  bool // the stack was never up
		look   bool
		code   int
		out    string
		err    string
	}{
		"up and answering":       {look: true, out: "ConfigMap argocd/settings is gone"},
		"never up":               {never: true, out: "nothing to change"},
		"told not to":            {args: []string{"--refresh=false"}, out: "nothing to change"},
		"not answering":          {silent: true, out: "nothing to change", err: "does not answer"},
		"not answering, told to": {args: []string{"--refresh"}, silent: true, code: 1, err: "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if !test.never {
				m.up()
			}
			if test.silent {
				m.api.Close()
			}
			calls := fakepulumi.Install(t, script)
			code, out, errout := m.run(append([]string{"preview"}, test.args...)...)
			assert.Equal(t, test.code, code, errout)
			assert.Contains(t, out, test.out)
			assert.Contains(t, errout, test.err)
			assert.Equal(t, test.look, looked(calls))
		})
	}
}
