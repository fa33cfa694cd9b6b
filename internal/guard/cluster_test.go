package guard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// pretendCluster refuses by pretended; open is one that enforces nothing, away
// one that does not answer for documents.
type pretendCluster struct{ open, away bool }

func (c pretendCluster) dryRun(_ context.Context, d *document) (error, error) {
	if c.away && d.namespace != CanaryNamespace {
		return nil, errors.New("connection refused")
	}
	if d.name == "huge" {
		return errors.New(`deployments.apps "huge" is forbidden: exceeded quota: default-namespace-quota`), nil
	}
	if d.name == "odd" {
		return errors.New(`Deployment.apps "odd" is invalid: spec.selector: field is immutable`), nil
	}
	for p := range coverage {
		if !c.open && covers(p, d) && pretended(d.name, p).outcome == refused {
			return errors.New(`deployments.apps "x" is forbidden: ValidatingAdmissionPolicy '` + p + `' with binding '` + p + `' denied request: is bad`), nil
		}
	}
	return nil, nil
}

func TestAClusterJudgesEveryDocument(t *testing.T) {
	for name, test := range map[string]struct {
		cluster pretendCluster
		object  string
		want    []string
	}{
		"admitted": {pretendCluster{}, "good", nil},
		"refused by a policy": {pretendCluster{}, "bad-" + root, []string{
			"error " + root + " apps/a/d.yaml:1 is bad",
			"error " + root + " apps/a/d.yaml:1 is refused by the cluster: deployments.apps \"x\" is forbidden: ValidatingAdmissionPolicy '" + root + "' with binding '" + root + "' denied request: is bad",
		}},
		"refused by the quota":        {pretendCluster{}, "huge", []string{`error quota apps/a/d.yaml:1 is refused by the cluster: deployments.apps "huge" is forbidden: exceeded quota: default-namespace-quota`}},
		"refused by something else":   {pretendCluster{}, "odd", []string{`error cluster apps/a/d.yaml:1 is refused by the cluster: Deployment.apps "odd" is invalid: spec.selector: field is immutable`}},
		"not answered":                {pretendCluster{away: true}, "good", []string{"error cluster apps/a/d.yaml:1 is not judged by the cluster: connection refused"}},
		"a cluster that lets all in ": {pretendCluster{open: true}, "good", canaryMessages()},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, map[string]string{"apps/a/d.yaml": deployment(test.object)}, func(e *engines) { e.cluster = test.cluster })
			assert.Equal(t, test.want, messages(r))
			assert.Equal(t, test.want == nil, r.Passed)
		})
	}
}

func canaryMessages() []string {
	var all []string
	for _, p := range []string{"disallow-latest-image-tag", root, "require-resource-requests-limits",
		"require-standard-labels-deployment", "require-standard-labels-inferenceservice"} {
		all = append(all, "error canary - the cluster does not refuse the built-in bad-"+p+" by policy "+p+", as it has to: it admits it")
	}
	return all
}

func TestARefusalIsToldFromAClusterThatCannotJudge(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for name, test := range map[string]struct {
		err     error
		refused bool
	}{
		"policy":           {apierrors.NewForbidden(resource, "x", errors.New("denied")), true},
		"invalid":          {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil), true},
		"webhook":          {apierrors.NewBadRequest("denied the request"), true},
		"no namespace":     {apierrors.NewNotFound(resource, "x"), false},
		"a broken webhook": {apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		"not logged in":    {apierrors.NewUnauthorized("no"), false},
		"busy":             {apierrors.NewTooManyRequests("later", 1), false},
		"gone":             {&url.Error{Op: http.MethodPatch, URL: "x", Err: errors.New("connection refused")}, false},
		"cancelled":        {context.Canceled, false},
	} {
		refusal, unanswered := sort(test.err)
		assert.Equal(t, test.refused, refusal != nil, name)
		assert.Equal(t, !test.refused, unanswered != nil, name)
	}
}
