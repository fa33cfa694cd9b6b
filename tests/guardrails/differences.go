package guardrails

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Difference is a place that does not say about some cases what has to be said,
// and may not.
type Difference struct {
	// Cases are patterns of identifiers.
	Cases  []string
	Places []Place
	Says   Verdict
	// Because is why it cannot be otherwise, and why no harm comes of it.
	Because string
}

var admission = []Place{Platform, Kyverno, Native}

// Differences are all there may be. One that is not found any more is a failure,
// as is one that is not here.
var Differences = []Difference{
	{
		Cases: []string{"pod/resources-missing", "pod/limits-missing"}, Places: admission, Says: Admit,
		Because: "the tenant's LimitRange gives a pod's containers what they do not ask for, before any policy looks",
	},
	{
		Cases: []string{"job/labels-only-on-template", "replicationcontroller/labels-only-on-template"}, Places: admission, Says: Admit,
		Because: "the API server copies the labels of Jobs and ReplicationControllers from their template if they have none at all",
	},
	{
		Cases: []string{
			"inferenceservice-containers/resources-missing", "inferenceservice-containers/limits-missing",
			"inferenceservice-transformer/resources-missing", "inferenceservice-transformer/limits-missing",
			"inferenceservice-explainer/resources-missing", "inferenceservice-explainer/limits-missing",
			"inferenceservice-model/art-resources-missing",
		},
		Places: admission, Says: Admit,
		Because: "KServe gives the first container of a component its default resources, before any policy looks",
	},
	{
		Cases:  []string{"pod/ephemeral-*", "deployment/ephemeral-*", "deployment/image-missing", "deployment/image-empty"},
		Places: admission, Says: API,
		Because: "the API server refuses ephemeral containers in new pods and containers without an image, before any policy looks",
	},
	{
		Cases: []string{"*/outside-*"}, Places: []Place{Guard}, Says: Namespace,
		Because: "what people merge belongs to tenants, so guard refuses every other namespace; the cluster is used by others too",
	},
	{
		Cases: []string{"*/no-containers", "*/unicode-name", "*/unicode-label"}, Places: []Place{Guard}, Says: Admit,
		Because: "no schema states how long lists are and what names consist of; the API server refuses it when it is applied",
	},
	{
		Cases: []string{"*/owner-null"}, Places: []Place{Guard}, Says: Schema,
		Because: "guard's schemas refuse null for a text, the API server reads it as an empty one and then the policy refuses",
	},
}

// Expected is what a place has to say about a case.
func Expected(c Case, place Place) Verdict {
	for _, d := range Differences {
		if slices.Contains(d.Places, place) && d.about(c) {
			return d.Says
		}
	}
	return c.Want
}

func (d Difference) about(c Case) bool {
	return slices.ContainsFunc(d.Cases, func(pattern string) bool {
		matched, err := path.Match(pattern, c.ID)
		return err == nil && matched
	})
}

// Compare says in one line each what a place does not say as it has to.
func Compare(place Place, cases []Case, verdicts []Verdict, details []string) []string {
	var wrong []string
	for i, c := range cases {
		if want := Expected(c, place); verdicts[i] != want {
			line := fmt.Sprintf("%s: %s says %s, not %s, though %s", c.ID, place, verdicts[i], want, c.Mutation)
			if details[i] != "" {
				line += ": " + strings.Join(strings.Fields(details[i]), " ")
			}
			wrong = append(wrong, line)
		}
	}
	return wrong
}
