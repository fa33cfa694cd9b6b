package automation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

// refreshed is what the engine says of one resource after it looked at it.
func refreshed(op apitype.OpType, id string, differ ...string) apitype.EngineEvent {
	diff := map[string]apitype.PropertyDiff{}
	for _, path := range differ {
		diff[path] = apitype.PropertyDiff{Kind: apitype.DiffUpdate}
	}
	return apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
		Op: op, URN: "urn:pulumi:ci::neuroscale::kubernetes:core/v1:ConfigMap::a", Type: "kubernetes:core/v1:ConfigMap",
		Old: &apitype.StepEventStateMetadata{Custom: true, ID: id}, DetailedDiff: diff,
	}}}
}

func TestWhatSomebodyElseDidIsSaidInWords(t *testing.T) {
	for name, test := range map[string]struct {
		event apitype.EngineEvent
		want  string // empty: nothing to tell
	}{
		"deleted":           {refreshed(apitype.OpDelete, "argocd/settings"), "ConfigMap argocd/settings is gone"},
		"of no namespace":   {refreshed(apitype.OpDelete, "team"), "ConfigMap team is gone"},
		"changed":           {refreshed(apitype.OpUpdate, "argocd/settings", "data.url", "data.admin"), "ConfigMap argocd/settings differs in data.admin, data.url"},
		"as it was":         {refreshed(apitype.OpSame, "argocd/settings"), ""},
		"changed somewhere": {refreshed(apitype.OpUpdate, "argocd/settings"), "ConfigMap argocd/settings differs"},
	} {
		t.Run(name, func(t *testing.T) {
			d := driftOf(test.event)
			if test.want == "" {
				assert.Nil(t, d)
				return
			}
			if assert.NotNil(t, d) {
				assert.Equal(t, test.want, d.String())
			}
		})
	}
}

func TestWhatIsNothingInTheClusterDoesNotDrift(t *testing.T) {
	component := refreshed(apitype.OpDelete, "")
	component.ResOutputsEvent.Metadata.Old.Custom = false
	assert.Nil(t, driftOf(component))
	assert.Nil(t, driftOf(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{Op: apitype.OpRefresh}}}))
}

func TestAnUpdateAndAPreviewTellWhatOthersDidAndChangesAreNotAmongIt(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{
		Events:    []apitype.EngineEvent{{SummaryEvent: &apitype.SummaryEvent{}}},
		Refreshed: []apitype.EngineEvent{refreshed(apitype.OpUpdate, "b/changed", "spec.replicas"), refreshed(apitype.OpDelete, "a/gone")},
		Outputs:   map[string]any{"gatewayUrl": "http://g"},
	})
	root, state := checkout(t)
	writeState(t, state, `{}`)
	s := open(t, root, state, nil)
	observed := 0
	up, err := s.Up(t.Context(), UpOptions{}, func(e apitype.EngineEvent) {
		if e.ResOutputsEvent != nil {
			observed++
		}
	})
	require.NoError(t, err)
	shown, err := s.Preview(t.Context(), PreviewOptions{Refresh: true}, nil)
	require.NoError(t, err)
	want := []Drift{
		{Kind: "ConfigMap", Namespace: "a", Name: "gone", Gone: true},
		{Kind: "ConfigMap", Namespace: "b", Name: "changed", Fields: []string{"spec.replicas"}},
	}
	assert.Equal(t, want, up.Drift)
	assert.Equal(t, want, shown.Drift)
	assert.True(t, shown.Changed, "the next up would put something back")
	assert.Zero(t, observed, "a look was shown as a change")
	assert.Empty(t, up.Changes)
	blind, err := s.Preview(t.Context(), PreviewOptions{}, nil)
	require.NoError(t, err)
	assert.Empty(t, blind.Drift)
	assert.False(t, blind.Changed)

	var looks []string
	for _, line := range calls.Lines(t) {
		if strings.HasPrefix(line, "refresh ") {
			looks = append(looks, line)
			assert.Contains(t, line, definitions, "the state grows to four times its size")
		}
	}
	require.Len(t, looks, 2)
	assert.NotContains(t, looks[0], "--preview-only")
	assert.Contains(t, looks[1], "--preview-only", "a preview wrote to the state")
}

func TestADestroyWritesTheStateOnce(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	writeState(t, state, `{}`)
	_, err := open(t, root, state, nil).Destroy(t.Context(), DestroyOptions{}, nil)
	require.NoError(t, err)
	assert.Equal(t, "true", calls.Environment(t, "PULUMI_SKIP_CHECKPOINTS"))
	_, err = open(t, root, state, nil).Up(t.Context(), UpOptions{}, nil)
	require.NoError(t, err)
	assert.Empty(t, calls.Environment(t, "PULUMI_SKIP_CHECKPOINTS"), "an up that is killed would forget what it made")
}

func TestALookForWhatOthersDidStoresNothingAndReleasesALockThatAKilledOneLeft(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{Refreshed: []apitype.EngineEvent{refreshed(apitype.OpDelete, "a/gone")}})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	_, err := s.Drift(t.Context())
	assert.ErrorContains(t, err, "has no state")

	writeState(t, state, `{}`)
	host, err := os.Hostname()
	require.NoError(t, err)
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	stale := filepath.Join(state, ".pulumi", "locks", "organization", s.Project.Name, "ci", "one.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(stale), 0o755))
	require.NoError(t, os.WriteFile(stale, fmt.Appendf(nil, `{"pid":%d,"hostname":%q}`, ended.Process.Pid, host), 0o600))
	drift, err := s.Drift(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Drift{{Kind: "ConfigMap", Namespace: "a", Name: "gone", Gone: true}}, drift)
	assert.NoFileExists(t, stale)
	looks := 0
	for _, line := range calls.Lines(t) {
		if strings.HasPrefix(line, "refresh ") {
			looks++
			assert.Contains(t, line, "--preview-only", "the state was written to")
		}
	}
	assert.Equal(t, 1, looks)
}
