package automation

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
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
		"deleted":              {refreshed(apitype.OpDelete, "argocd/settings"), "ConfigMap argocd/settings is gone"},
		"of no namespace":      {refreshed(apitype.OpDelete, "team"), "ConfigMap team is gone"},
		"changed":              {refreshed(apitype.OpUpdate, "argocd/settings", "data.url", "data.admin"), "ConfigMap argocd/settings differs in data.admin, data.url"},
		"as it was":            {refreshed(apitype.OpSame, "argocd/settings"), ""},
		"written by the API":   {refreshed(apitype.OpUpdate, "argocd/settings", "metadata.managedFields", "metadata.managedFields[0].time", "metadata.resourceVersion", "status", "status.phase"), ""},
		"a name that looks so": {refreshed(apitype.OpUpdate, "argocd/settings", "statuses", "metadata.labels.generation"), "ConfigMap argocd/settings differs in metadata.labels.generation, statuses"},
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
