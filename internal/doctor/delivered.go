package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/status"
)

// servers are what has to run for anything to be delivered.
var servers = slices.Concat([]string{
	layerPaused.ID, forgeDown.ID, forgeCredentials.ID, redisDown.ID, repoServer.ID, applicationController.ID, applicationSetController.ID,
	applicationsUnknown.ID, repositoryNotFollowed.ID, servingDown.ID, kserveIstio.ID, kserveStale.ID, knativeStuck.ID, kyvernoDown.ID, webhookUnanswered.ID,
	policyNotEnforced.ID, guardDown.ID, portalSecret.ID, portalTemplate.ID, portalDown.ID, prometheusDown.ID, openCostDown.ID,
}, below)

var layerNotSynced = Detector{
	ID: "layer-not-synced", Follows: servers,
	Symptom: "`status` says that a layer is not well or not as wanted, and nothing it is made of is broken.",
	Cause:   "The last sync of its Application failed and Argo CD tries no more, or it asks for another commit than the stack delivered.",
	Repair:  "Has Argo CD sync it once more. One that asks for another commit stays.",
	ByHand: "`kubectl get application LAYER -n argocd -o jsonpath='{.status.conditions}{.status.operationState.message}'`; " +
		"`kubectl -n argocd patch application LAYER --type merge -p '{\"operation\":{\"sync\":{}}}'`. If it asks for another commit, or is gone: `neuroscale up`. See also *A layer does not get ready* below.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		report, err := status.Read(ctx, p.Cluster.Dynamic, p.Status, time.Now())
		if err != nil {
			return nil, err
		}
		apps, err := p.layerApplications(ctx)
		if err != nil {
			return nil, err
		}
		var found []Finding
		for _, l := range report.Layers {
			if l.Why == "" || l.ByProgram {
				continue
			}
			d, _ := p.layers().Get(l.Name)
			f := Finding{Says: "layer " + l.Name + " is not as it should be", Object: named("Application", argocd.Namespace, l.Name), Saw: sentence(l.Why), Where: d.Namespace()}
			if app := apps[l.Name]; app != nil && slices.Contains([]string{"Failed", "Error"}, kube.Text(app.Object, "status", "operationState", "phase")) {
				f.Doing, f.Fix = "sync it once more", func(ctx context.Context) error { return p.resync(ctx, l.Name) }
			}
			found = append(found, f)
		}
		return found, nil
	},
}

// refused are words of the answers of whoever refuses an object: to try again is of
// no use.
var refused = []string{"denied request", "denied the request", "is forbidden", "is invalid", "is not permitted in project", "exceeded quota", "failed to unmarshal", "Manifest generation error"}

var folderNotSynced = Detector{
	ID: "folder-not-synced", Follows: servers,
	Symptom: "A folder was merged, and its objects are not in the cluster as it says.",
	Cause:   "What is in it is refused: by a policy, a quota, the limits or the tenant's project; or the sync failed for something that is over.",
	Repair:  "Has Argo CD sync it once more, unless the object was refused, which only another commit helps.",
	ByHand: "The message names the rule and what to write; `bin/neuroscale guard apps/NAME` says the same before a merge, for every rule at once. See *Somebody's object is refused* below. " +
		"If the cause was not in Git and is gone: `kubectl -n argocd patch application NAME --type merge -p '{\"operation\":{\"sync\":{}}}'`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		report, err := status.Read(ctx, p.Cluster.Dynamic, p.Status, time.Now())
		if err != nil {
			return nil, err
		}
		var found []Finding
		for _, folder := range report.Folders {
			f := Finding{
				Says:   fmt.Sprintf("folder %s of tenant %s is not in the cluster as it is in Git", folder.Application, folder.Tenant),
				Object: named("Application", argocd.Namespace, folder.Application), Saw: sentence(folder.Why), Where: folder.Tenant + "/" + folder.Application,
			}
			if !slices.ContainsFunc(refused, func(words string) bool { return strings.Contains(folder.Why, words) }) {
				f.Doing, f.Fix = "sync it once more", func(ctx context.Context) error { return p.resync(ctx, folder.Application) }
			}
			found = append(found, f)
		}
		return found, nil
	},
}

// newFor is how long an endpoint may take to get ready before that is worth saying.
const newFor = 2 * time.Minute

var endpointNotReady = Detector{
	ID: "endpoint-not-ready", Follows: append([]string{folderNotSynced.ID, modelSecretMissing.ID}, servers...),
	Symptom: "An endpoint does not answer, and all that serves models runs.",
	Cause:   "Its model cannot be fetched or loaded, or asks for more than a node has.",
	ByHand:  "`bin/neuroscale endpoints NAME -n TENANT --logs 50` has its conditions, warnings and what fails; correct it in Git. See *An endpoint is not ready* below.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		all, err := endpoint.Every(ctx, p.Cluster.Dynamic, "")
		var found []Finding
		for _, e := range all {
			if e.Ready || !slices.Contains(p.Config.Namespaces(), e.Tenant) || e.Since != nil && time.Since(*e.Since) < newFor && !strings.Contains(e.Why, "exit code") {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("endpoint %s of tenant %s is not ready", e.Name, e.Tenant), Object: named("InferenceService", e.Tenant, e.Name), Saw: sentence(e.Why),
				Where: e.Tenant + "/" + e.Name,
			})
		}
		return found, err
	},
}
