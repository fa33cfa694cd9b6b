package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// TestPlatform is a platform's life, in order: each step stands on those before
// it, so the first failure of one that the rest needs ends it. A step's name says
// what does not hold if it fails.
func TestPlatform(t *testing.T) {
	s := begin(t)
	var err error
	s.project, err = rig.CopyProject(s.checkout, t.TempDir())
	require.NoError(t, err)
	for _, step := range []struct {
		name string
		run  func(*suite, *testing.T)
		// base is a step without which no later one can pass.
		base bool
	}{
		{"a sealed node comes up", (*suite).nodeUp, true},
		{"a second sealed up changes nothing", (*suite).nodeUpAgain, false},
		{"a preview needs neither a stack nor a cluster", (*suite).previewOfNothing, false},
		{"an up that was killed can be done again", (*suite).upSurvivesKills, true},
		{"the outputs say where everything is", (*suite).outputsAreComplete, true},
		{"every layer is synced and healthy at the tag of the outputs", (*suite).layersAtTheirTags, false},
		{"a layer has one hash from its definition to the cluster", (*suite).layersAreTheSameEverywhere, false},
		{"a platform left alone stays as it is", (*suite).nothingMoves, false},
		{"an endpoint predicts through the gateway", (*suite).endpointPredicts, false},
		{"status says in one screen that all is well", (*suite).statusIsWell, false},
		{"costs are measured", (*suite).costsAreMeasured, false},
		{"the platform proves itself", (*suite).platformProvesItself, false},
		{"a key opens what it is for", (*suite).keysOpenWhatTheyAreFor, false},
		{"nothing of the platform answers in clear text or to who guesses", (*suite).serversAreClosed, false},
		{"what judges keys can be replaced while requests run", (*suite).keysAreJudgedWhileReplicasEnd, false},
		{"without what judges keys nobody gets in", (*suite).nobodyGetsInUnjudged, false},
		{"a newcomer can type the README's first ten minutes", (*suite).firstTenMinutes, false},
		{"a forward survives the pod it goes to", (*suite).forwardSurvivesItsPods, false},
		{"what is wrong is said in one sentence and changes nothing", (*suite).badInput, false},
		{"a deleted Deployment of an endpoint's folder comes back", (*suite).driftHeals, false},
		{"a changed or deleted object of a layer comes back", (*suite).layerHeals, false},
		{"what others did to the program's own objects is seen and put back", (*suite).whatOthersDidIsPutBack, false},
		{"a pushed folder becomes an endpoint and what people merged stays", (*suite).pushedEndpoint, false},
		{"a proposed endpoint predicts when it is merged", (*suite).proposedEndpoint, false},
		{"a person asks for an endpoint in a browser", (*suite).personAsks, false},
		{"a member proposes in the portal and it predicts when it is merged", (*suite).portalProposes, false},
		{"nobody walks around the guard", (*suite).nobodyWalksAround, false},
		{"ten pull requests at once are judged, whoever ends meanwhile", (*suite).manyAtOnce, false},
		{"the author of a merge reads what became of it", (*suite).authorReadsWhatBecameOfIt, false},
		{"a folder is seen after the forge was away", (*suite).folderIsSeenAfterTheForgeWasAway, false},
		{"what wakes Argo CD changes nothing else of it", (*suite).followerOnlyRefreshes, false},
		{"a tenant stays in its namespace", (*suite).tenantsStayInside, false},
		{"a changed value moves one layer and the value back its old tag", (*suite).layerChangeAndRollback, false},
		{"guard, Kyverno and the API server judge every manifest alike", (*suite).guardrailsAgree, false},
		{"without Kyverno what is bad is refused and nobody else waits", (*suite).guardrailsHoldWithoutKyverno, false},
		{"a container added to debug a pod is judged", (*suite).debugContainersAreJudged, false},
		{"a good endpoint gets ready under the guardrails", (*suite).freshEndpointPasses, false},
		{"a Kyverno that was gone judges and reports again", (*suite).kyvernoComesBack, false},
		{"a guardrail that is changed or made again leaves no hole", (*suite).guardrailsHaveNoHole, false},
		{"background reports stay when a policy is made again", (*suite).reportsStay, false},
		{"two tenants are apart", (*suite).tenantsAreApart, false},
		{"what runs is billed to whom it is for", (*suite).costsAreBilled, false},
		{"a backup has all that nobody could make again", (*suite).backupIsMade, false},
		{"a destroy leaves nothing in the cluster", (*suite).destroyLeavesNothing, false},
		{"a backup makes an empty cluster the platform it was made of", (*suite).backupComesBack, false},
		{"a sealed down leaves nothing on the host", (*suite).downLeavesNothing, false},
	} {
		passed := t.Run(step.name, func(t *testing.T) {
			s.diagnoseOnFailure(t)
			step.run(s, t)
		})
		if step.base && !passed {
			t.Fatalf("the later steps were not run: %q failed", step.name)
		}
	}
}
