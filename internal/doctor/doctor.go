// Package doctor finds out why a platform is not well: detectors look for what is
// known to go wrong, name the cause and not what follows from it, and repair what can
// be repaired without losing anything.
package doctor

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// Areas are all detectors, causes before what follows from them.
var Areas = []Area{
	{"The stack's state and this machine", []Detector{
		stateUnreadable, stateLocked, statePending, otherCluster, limitsTooLow,
	}},
	{"The cluster", []Detector{
		clusterUnreachable, platformGone, nodeNotReady, nodeUnderPressure, clusterDNS, portsTaken,
		namespaceStuck, imageNotPulled, quotaExhausted, certificateEnding,
	}},
	{"The forge", []Detector{
		forgeDown, forgeUnreachable, forgeCredentials, forgeHook,
	}},
	{"Argo CD", []Detector{
		redisDown, repoServer, applicationController, applicationSetController, argocdDown, layerPaused,
		applicationsUnknown, repositoryNotFollowed,
	}},
	{"Model serving", []Detector{
		servingDown, kserveIstio, kserveStale, knativeStuck, modelSecretMissing,
	}},
	{"Guardrails and reviews", []Detector{
		kyvernoDown, webhookUnanswered, policyNotEnforced, guardDown,
	}},
	{"The portal", []Detector{
		portalSecret, portalTemplate, portalDown,
	}},
	{"Costs", []Detector{
		prometheusDown, openCostDown, nothingMeasured,
	}},
	{"What is delivered", []Detector{
		layerNotSynced, folderNotSynced, endpointNotReady,
	}},
}

// Area of the platform and its detectors.
type Area struct {
	Title     string
	Detectors []Detector
}

// Detector looks for one thing that goes wrong.
type Detector struct {
	// ID is a name that never changes.
	ID string
	// Symptom is what people see, Cause why, sentences both.
	Symptom, Cause string
	// Repair is what --fix does about it, a sentence; empty if it does nothing.
	Repair string
	// ByHand is what somebody does about it who has no doctor, or whom it does not
	// help: sentences, with commands in backticks.
	ByHand string
	// Follows are IDs of detectors whose findings explain this one's.
	Follows []string
	// Offline is one that asks neither the cluster nor the stack's outputs.
	Offline bool
	// First is one without whose health those that are not Offline cannot look.
	First bool
	// Limit is how long it may look, 0 meaning lookWithin.
	Limit time.Duration
	// Look finds it, or nothing. An error is that it could not look.
	Look func(context.Context, *Platform) ([]Finding, error)
}

// Finding is one thing that is wrong.
type Finding struct {
	// Says what is wrong, a sentence without its full stop.
	Says string
	// Object is what was looked at, Saw what was seen of it.
	Object, Saw string
	// Where is what part of the platform it is about: a namespace, or NAMESPACE/NAME
	// of an endpoint; empty for all of it.
	Where string
	// Reach are the parts whose findings it explains; nil means Where. A namespace has
	// all that is in it.
	Reach []string
	// Doing is what repairs it, a sentence without its full stop; empty if nothing
	// does that is safe.
	Doing string
	// Fix repairs it, and returns when there is only to wait.
	Fix func(context.Context) error
}

// Platform is what there should be, and the ways to ask it.
type Platform struct {
	// Stack is its name.
	Stack  string
	Config *config.Config
	// Outputs of the stack; nil if they cannot be read, because of StateError.
	Outputs    *stacks.Outputs
	StateError error
	// Parts have the layers.
	Parts    []stacks.Part
	Policies []*policy.Policy
	// Status is what `status` goes by.
	Status status.Platform
	// Cluster is the stack's, or else that of the settings. Chosen is that of the
	// settings, nil if these name none that can be read.
	Cluster *kube.Cluster
	Chosen  *kube.Kubeconfig
	// HTTP reaches the platform's servers as people do.
	HTTP *http.Client
	// Reachable is whether the cluster answers.
	Reachable func(context.Context) error
	// Dial connects to a port of a pod.
	Dial func(ctx context.Context, namespace, pod string, port int) (net.Conn, error)
	// Logs reads the end of a container's log, of its previous run if asked for.
	Logs func(ctx context.Context, namespace, pod, container string, lines int, previous bool) (string, error)
	// Costs is OpenCost with its Prometheus.
	Costs showback.OpenCost
	// State is the stack's, as far as it can be read without its passphrase.
	State State
	// Proc is where this machine's kernel tells of itself, usually /proc.
	Proc string
}

// State of a stack: *automation.Stack.
type State interface {
	Locks() ([]automation.Lock, error)
	Release(context.Context) error
	Pending() ([]string, error)
	ClearPending(context.Context) error
}

// Detectors of all areas, in their order.
func Detectors() []Detector {
	var all []Detector
	for _, a := range Areas {
		all = append(all, a.Detectors...)
	}
	return all
}

// layers of all parts, in their order.
func (p *Platform) layers() layer.List { return stacks.AllLayers(p.Parts) }

// part is the layers of one.
func (p *Platform) part(name string) layer.List { return stacks.LayersOf(p.Parts, name) }
