// Package guardrails is a corpus of manifests that the platform's rules admit or
// refuse, and what is needed to compare what different places say about them:
// `neuroscale guard`, the native policies and Kyverno at admission.
//
// Every manifest is a good one with one thing changed, made in Go so that none
// has to be kept; testdata/verdicts.txt lists them all with what has to be said,
// so that one that gets lost is noticed.
package guardrails

import "slices"

// Verdict is what is said about a manifest: Admit, or who refuses it, which is
// the name of a policy or one of the constants.
type Verdict string

const (
	// Admit is a manifest that nothing refuses.
	Admit Verdict = "admit"
	// Schema is text that cannot be read, an unknown field or kind, or a value of
	// the wrong type.
	Schema Verdict = "schema"
	// API is what the API server itself or KServe refuses though it has the right
	// types.
	API Verdict = "api"
	// Namespace is a namespace that belongs to no tenant.
	Namespace Verdict = "namespace"
)

// The policies, by what they ask for.
const (
	ServiceLabels  Verdict = "require-standard-labels-inferenceservice"
	WorkloadLabels Verdict = "require-standard-labels-deployment"
	Resources      Verdict = "require-resource-requests-limits"
	PinnedImages   Verdict = "disallow-latest-image-tag"
	NonRoot        Verdict = "disallow-root-containers"
	ClusterIP      Verdict = "require-cluster-ip-services"
	Privileges     Verdict = "disallow-cluster-privileges"
)

// Policies are the names of all policies, sorted.
func Policies() []string {
	names := []string{
		string(ServiceLabels), string(WorkloadLabels), string(Resources), string(PinnedImages), string(NonRoot), string(ClusterIP),
		string(Privileges),
	}
	slices.Sort(names)
	return names
}

// ByPolicy says that a policy refuses.
func (v Verdict) ByPolicy() bool { return slices.Contains(Policies(), string(v)) }

// Operation is how a manifest reaches the API server.
type Operation string

const (
	// Create makes a new object.
	Create Operation = "create"
	// Update applies the manifest to the good object of its shape.
	Update Operation = "update"
	// Debug adds the manifest's ephemeral containers to the good Pod, as `kubectl
	// debug` does.
	Debug Operation = "debug"
)

// Case is one manifest of the corpus.
type Case struct {
	// ID is SHAPE/MUTATION.
	ID string
	// Shape is the good manifest it comes from, Kind that one's kind.
	Shape, Kind string
	// Mutation is what was done to the good one.
	Mutation string
	// Want is what has to be said about it.
	Want Verdict
	// Operation is how it reaches the API server, Namespace where.
	Operation Operation
	Namespace string
	// File is a file name, unique in the corpus, and Text what is in that file:
	// one or more documents in YAML or JSON.
	File string
	Text []byte
}

// Place is where something is said about a manifest.
type Place string

const (
	// Guard is `neuroscale guard` without a cluster.
	Guard Place = "guard"
	// Engine is the native policies in the API server's own library, no cluster.
	Engine Place = "engine"
	// Platform is admission as the platform runs it.
	Platform Place = "admission"
	// Kyverno is admission without the native policies.
	Kyverno Place = "admission by Kyverno alone"
	// Native is admission without Kyverno.
	Native Place = "admission without Kyverno"
)
