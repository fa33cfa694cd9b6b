package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type fields = map[string]any

// object is of generation 2.
func object(apiVersion, kind string, spec, status fields) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: fields{"apiVersion": apiVersion, "kind": kind, "metadata": fields{"name": "it"}}}
	o.SetGeneration(2)
	if spec != nil {
		o.Object["spec"] = spec
	}
	if status != nil {
		o.Object["status"] = status
	}
	return o
}

func conditions(list ...fields) []any {
	out := []any{}
	for _, c := range list {
		out = append(out, c)
	}
	return out
}

var ready, notReady = fields{"type": "Ready", "status": "True"}, fields{"type": "Ready", "status": "False"}

func deployment(observed, available int64) *unstructured.Unstructured {
	return object("apps/v1", "Deployment", fields{"replicas": int64(2)}, fields{
		"observedGeneration": observed, "replicas": int64(2), "updatedReplicas": int64(2),
		"readyReplicas": available, "availableReplicas": available,
		"conditions": conditions(fields{"type": "Available", "status": "True"}),
	})
}

func argoApplication(wants, compared, phase, sync, health string) *unstructured.Unstructured {
	return object("argoproj.io/v1alpha1", "Application", fields{"source": fields{"targetRevision": wants}}, fields{
		"sync":           fields{"status": sync, "comparedTo": fields{"source": fields{"targetRevision": compared}}},
		"operationState": fields{"phase": phase, "message": "what it said"}, "health": fields{"status": health},
	})
}

func TestNothingIsReadyBeforeAllOfItIs(t *testing.T) {
	const isvc, ksvc = "serving.kserve.io/v1beta1", "serving.knative.dev/v1"
	going := object("v1", "ConfigMap", nil, nil)
	going.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	for name, test := range map[string]struct {
		object *unstructured.Unstructured
		want   string
	}{
		"none":                             {nil, "it is not there"},
		"one that goes":                    {going, "it is being deleted"},
		"a kind without a status":          {object("v1", "ConfigMap", nil, nil), ""},
		"a Deployment":                     {deployment(2, 2), ""},
		"a Deployment with a pod missing":  {deployment(2, 1), "Available: 1/2"},
		"a Deployment of before":           {deployment(1, 2), "Deployment generation is 2, but latest observed generation is 1"},
		"a Deployment just made":           {object("apps/v1", "Deployment", fields{}, nil), "Replicas: 0/1"},
		"a Pod that runs":                  {object("v1", "Pod", nil, fields{"phase": "Running", "conditions": conditions(ready)}), ""},
		"a Pod that has ended":             {object("v1", "Pod", nil, fields{"phase": "Succeeded"}), ""},
		"a Pod that does not answer":       {object("v1", "Pod", nil, fields{"phase": "Running", "conditions": conditions(notReady)}), "Pod is running but is not Ready"},
		"an endpoint":                      {object(isvc, "InferenceService", nil, fields{"conditions": conditions(ready)}), ""},
		"an endpoint nobody has looked at": {object(isvc, "InferenceService", nil, nil), "its controller has not reported yet"},
		"an endpoint that said nothing yet": {
			object(isvc, "InferenceService", nil, fields{"conditions": conditions()}), "its controller has not reported yet",
		},
		"an endpoint and why": {
			object(isvc, "InferenceService", nil, fields{"conditions": conditions(
				fields{"type": "PredictorReady", "status": "False", "reason": "RevisionMissing", "message": "image not found"},
				fields{"type": "Stopped", "status": "False", "severity": "Info"}, notReady,
			)}), "PredictorReady RevisionMissing: image not found; Ready",
		},
		// KServe writes the generation of the Knative Service into the endpoint's status.
		"an endpoint of many generations": {
			object(isvc, "InferenceService", nil, fields{"observedGeneration": int64(1), "conditions": conditions(ready)}), "",
		},
		"a Knative Service": {
			object(ksvc, "Service", nil, fields{"observedGeneration": int64(2), "conditions": conditions(ready)}), "",
		},
		"a Knative Service of before": {
			object(ksvc, "Service", nil, fields{"observedGeneration": int64(1), "conditions": conditions(ready)}),
			"Service generation is 2, but latest observed generation is 1",
		},
		"a Knative Service just made": {object(ksvc, "Service", nil, nil), "its controller has not reported yet"},
		"a policy":                    {object("policies.kyverno.io/v1", "ValidatingPolicy", nil, fields{"conditionStatus": fields{"ready": true}}), ""},
		"a policy that is not compiled": {
			object("policies.kyverno.io/v1", "ValidatingPolicy", nil, fields{"conditionStatus": fields{"conditions": conditions(
				fields{"type": "WebhookConfigured", "status": "False", "message": "soon"},
			)}}), "WebhookConfigured: soon",
		},
		"an Application":            {argoApplication("tag/2", "tag/2", "Succeeded", "Synced", "Healthy"), ""},
		"an Application of before":  {argoApplication("tag/2", "tag/1", "Succeeded", "Synced", "Healthy"), `sync.comparedTo.source.targetRevision is "tag/1", not tag/2; what it said`},
		"an Application under way":  {argoApplication("tag/2", "tag/2", "Running", "Synced", "Healthy"), `operationState.phase is "Running", not Succeeded; what it said`},
		"an Application that waits": {argoApplication("tag/2", "tag/2", "Succeeded", "Synced", "Progressing"), `health.status is "Progressing", not Healthy; what it said`},
		"an Application just made": {
			object("argoproj.io/v1alpha1", "Application", fields{"source": fields{"targetRevision": "main"}}, nil),
			`sync.status is "", not Synced; sync.comparedTo.source.targetRevision is "", not main; operationState.phase is "", not Succeeded; health.status is "", not Healthy`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.object.DeepCopy()
			assert.Equal(t, test.want, NotReady(test.object))
			assert.Equal(t, before, test.object, "the object was changed")
		})
	}
}
