package policy

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// workloads are the kinds that end in a pod, in any version.
var workloads = map[schema.GroupKind]bool{
	{Kind: "Pod"}:                                          true,
	{Kind: "ReplicationController"}:                        true,
	{Group: "apps", Kind: "Deployment"}:                    true,
	{Group: "apps", Kind: "StatefulSet"}:                   true,
	{Group: "apps", Kind: "DaemonSet"}:                     true,
	{Group: "apps", Kind: "ReplicaSet"}:                    true,
	{Group: "batch", Kind: "Job"}:                          true,
	{Group: "batch", Kind: "CronJob"}:                      true,
	{Group: "serving.knative.dev", Kind: "Service"}:        true,
	{Group: "serving.knative.dev", Kind: "Revision"}:       true,
	{Group: "serving.kserve.io", Kind: "InferenceService"}: true,
	{Group: "serving.knative.dev", Kind: "Configuration"}:  true,
}

// workload says whether object is of a kind that ends in a pod, in whatever
// version, an InferenceService among them.
func workload(object map[string]any) bool {
	kind, err := kindOf(object)
	return err == nil && workloads[kind.GroupKind()]
}
