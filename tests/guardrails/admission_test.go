package guardrails

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRefusalsAreOfWhoeverRefused(t *testing.T) {
	for _, test := range []struct {
		name      string
		code      int
		message   string
		cause     metav1.CauseType
		verdict   Verdict
		mechanism Mechanism
	}{
		{"a native policy", 422, `The pods "a" is invalid: : ValidatingAdmissionPolicy 'disallow-root-containers' with binding 'disallow-root-containers' denied request: may run as root: main`, "", NonRoot, ByNative},
		{"Kyverno", 400, `admission webhook "vpol.validate.kyverno.svc-ignore-finegrained-disallow-latest-image-tag" denied the request: Policy disallow-latest-image-tag failed: floating image(s): main=nginx`, "", PinnedImages, ByKyverno},
		{"an unknown field", 400, `Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagePullPolcy"`, "", Schema, ""},
		{"a wrong type", 400, `Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field`, "", Schema, ""},
		{"text that is no YAML", 400, `the object provided is unrecognized (must be of type Deployment): yaml: line 4: found character that cannot start any token`, "", Schema, ""},
		{"a wrong type of a custom resource", 422, `ServingRuntime.serving.kserve.io "a" is invalid: spec.containers[0].securityContext.runAsNonRoot: Invalid value: "string"`, metav1.CauseTypeTypeInvalid, Schema, ""},
		{"a wrong type that KServe cannot read", 400, `admission webhook "inferenceservice.kserve-webhook-server.defaulter" denied the request: json: cannot unmarshal string into Go struct field`, "", Schema, ""},
		{"a version that is not there", 404, `the server could not find the requested resource`, "", Schema, ""},
		{"the API server's validation", 422, `Deployment.apps "a" is invalid: spec.template.spec.containers: Required value`, metav1.CauseTypeFieldValueRequired, API, ""},
		{"KServe", 403, `admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: Exactly one of [] must be specified`, "", API, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status := &metav1.Status{Message: test.message}
			if test.cause != "" {
				status.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: test.cause}}}
			}
			verdict, mechanism, err := classify(test.code, status)
			require.NoError(t, err)
			assert.Equal(t, test.verdict, verdict)
			assert.Equal(t, test.mechanism, mechanism)
		})
	}
}

func TestWhatIsNoVerdictIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		code    int
		message string
	}{
		"a quota":            {403, `pods "a" is forbidden: exceeded quota: default-namespace-quota, requested: pods=1`},
		"a limit":            {403, `pods "a" is forbidden: maximum cpu usage per Container is 2, but limit is 3`},
		"no right":           {403, `pods is forbidden: User "a" cannot create resource "pods"`},
		"a missing object":   {404, `pods "corpus-pod" not found`},
		"a dead webhook":     {500, `Internal error occurred: failed calling webhook "validate.kyverno.svc-fail"`},
		"too many requests":  {429, `the server has received too many requests`},
		"a policy of others": {422, `The pods "a" is invalid: : ValidatingAdmissionPolicy 'vpol-other' with binding 'vpol-other-binding' denied request: no`},
	} {
		_, _, err := classify(test.code, &metav1.Status{Message: test.message})
		assert.Error(t, err, name)
	}
}
