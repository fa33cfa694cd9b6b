package e2e

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// defaults is what KServe gives an endpoint that asks for nothing.
type defaults struct {
	Resource struct {
		CPURequest    string `json:"cpuRequest"`
		CPULimit      string `json:"cpuLimit"`
		MemoryRequest string `json:"memoryRequest"`
		MemoryLimit   string `json:"memoryLimit"`
	} `json:"resource"`
}

func (s *suite) servingDefaults(ctx context.Context, t *testing.T) defaults {
	t.Helper()
	o, err := s.cluster.Get(ctx, kube.ConfigMaps, "kserve", "inferenceservice-config")
	require.NoError(t, err)
	require.NotNil(t, o, "KServe has no configuration")
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	require.NoError(t, err)
	var d defaults
	require.NoError(t, json.Unmarshal([]byte(data["inferenceService"]), &d), "%v", data)
	require.NotEmpty(t, d.Resource.CPURequest)
	return d
}

// layerChangeAndRollback changes the one value that the layer kserve has from the
// configuration, and changes it back. The guard prices endpoints by it.
func (s *suite) layerChangeAndRollback(t *testing.T) {
	const moved, value = "kserve", "37m"
	ctx := within(t, 5*time.Minute)
	before, old := s.readOutputs(ctx, t).Layers, s.servingDefaults(ctx, t)
	revisions := s.revisions(ctx, t)
	require.NotEqual(t, value, old.Resource.CPURequest, "the test changes nothing")

	restore, err := s.project.Set(stack, "neuroscale:serving.defaultResources.cpu", value)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, restore()) })
	preview := succeed(ctx, t, s.command("preview"))
	assert.Regexp(t, `(?m)^`+moved+`: \d+ to `, preview.Stdout)
	report := s.up(ctx, t)
	assert.True(t, report.Changed)
	after := s.readOutputs(ctx, t).Layers
	require.Len(t, after, len(before))
	for name, was := range before {
		if name == moved || name == reviews.Layer {
			assert.NotEqual(t, was.Hash, after[name].Hash, "layer %s with the value did not move", name)
		} else {
			assert.Equal(t, was, after[name], "layer %s moved too", name)
		}
	}
	wanted := map[string]string{}
	for name, revision := range revisions {
		wanted[name] = revision
	}
	tags := s.tags(ctx, t)
	for _, name := range []string{moved, reviews.Layer} {
		wanted[name] = tags["layer/"+name+"/"+after[name].Hash]
		require.NotEmpty(t, wanted[name], "the new tag of layer %s is not in Git", name)
	}
	assert.Equal(t, wanted, s.revisions(ctx, t))
	require.NoError(t, s.awaitSynced(ctx, moved, wanted[moved]))
	changed := s.servingDefaults(ctx, t)
	assert.Equal(t, value, changed.Resource.CPURequest, "the cluster does not have the new value")
	changed.Resource.CPURequest = old.Resource.CPURequest
	assert.Equal(t, old, changed, "another value changed too")

	require.NoError(t, restore())
	report = s.up(ctx, t)
	assert.True(t, report.Changed)
	assert.Equal(t, before, s.readOutputs(ctx, t).Layers, "the value back is not the layers back")
	assert.Equal(t, revisions, s.revisions(ctx, t))
	require.NoError(t, s.awaitSynced(ctx, moved, revisions[moved]))
	assert.Equal(t, old, s.servingDefaults(ctx, t), "the cluster does not have the old value again")
	s.requireTagReused(ctx, t, "layer-"+moved+"-"+before[moved].Hash)
}

// revisions are what the Applications of the layers want, by name.
func (s *suite) revisions(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range layers(t).FromGit().Names() {
		app, err := s.cluster.Get(ctx, kube.Applications, argocd, name)
		require.NoError(t, err)
		require.NotNil(t, app, "application %s is not there", name)
		all[name] = rig.Text(app, "spec", "source", "targetRevision")
	}
	return all
}

// requireTagReused demands that the push of an old tree found its tag there.
func (s *suite) requireTagReused(ctx context.Context, t *testing.T, job string) {
	t.Helper()
	o, err := s.cluster.Get(ctx, kube.Jobs, layer.Namespace, job)
	require.NoError(t, err)
	require.NotNil(t, o, "Job %s is not there", job)
	logs, err := s.cluster.JobLogs(ctx, layer.Namespace, job)
	require.NoError(t, err)
	assert.Contains(t, logs, "is there", "the push did not find the old tag")
}
