package kubernetes

import (
	"context"
	"regexp"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// fixedFields are the fields of a kind that cannot be changed: all below one of
// the paths, except what matches one of the exceptions.
type fixedFields struct {
	paths  []string
	except *regexp.Regexp
}

// immutable lists the fixed fields of Kubernetes' own kinds by group/Kind.
var immutable = map[string]fixedFields{
	"apps/Deployment":  {paths: []string{"spec.selector"}},
	"apps/DaemonSet":   {paths: []string{"spec.selector"}},
	"apps/ReplicaSet":  {paths: []string{"spec.selector"}},
	"apps/StatefulSet": {paths: []string{"spec"}, except: regexp.MustCompile(`^spec\.(replicas|ordinals|template|updateStrategy|revisionHistoryLimit|persistentVolumeClaimRetentionPolicy|minReadySeconds)\b`)},
	"batch/Job": {paths: []string{
		"spec.template", "spec.selector", "spec.completions", "spec.completionMode", "spec.podFailurePolicy",
		"spec.successPolicy", "spec.backoffLimitPerIndex", "spec.managedBy", "spec.podReplacementPolicy", "spec.manualSelector",
	}},
	"/Pod":                                  {paths: []string{"spec"}, except: regexp.MustCompile(`^spec\.((initC|c)ontainers\[\d+\]\.image$|activeDeadlineSeconds|tolerations|terminationGracePeriodSeconds)`)},
	"/PersistentVolumeClaim":                {paths: []string{"spec"}, except: regexp.MustCompile(`^spec\.(resources|volumeAttributesClassName)\b`)},
	"/PersistentVolume":                     {paths: []string{"spec.csi", "spec.hostPath", "spec.local", "spec.nfs", "spec.volumeMode", "spec.storageClassName"}},
	"/Service":                              {paths: []string{"spec.clusterIP", "spec.clusterIPs"}},
	"/Secret":                               {paths: []string{"type"}},
	"/ResourceQuota":                        {paths: []string{"spec.scopes", "spec.scopeSelector"}},
	"storage.k8s.io/StorageClass":           {paths: []string{"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"}},
	"storage.k8s.io/VolumeAttributesClass":  {paths: []string{"driverName", "parameters"}},
	"rbac.authorization.k8s.io/RoleBinding": {paths: []string{"roleRef"}},
	"rbac.authorization.k8s.io/ClusterRoleBinding":  {paths: []string{"roleRef"}},
	"scheduling.k8s.io/PriorityClass":               {paths: []string{"value", "preemptionPolicy"}},
	"node.k8s.io/RuntimeClass":                      {paths: []string{"handler"}},
	"networking.k8s.io/IngressClass":                {paths: []string{"spec.controller"}},
	"discovery.k8s.io/EndpointSlice":                {paths: []string{"addressType"}},
	"apiextensions.k8s.io/CustomResourceDefinition": {paths: []string{"spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"}},
}

// Diff implements server.Provider: new inputs against old ones, with what the
// API does not let change marked as a replacement.
func (p *Provider) Diff(ctx context.Context, req server.DiffRequest) (server.Diff, error) {
	diff := server.Compare(req.OldInputs, req.NewInputs)
	oldKind, _ := inputKind(req.OldInputs)
	newKind, _ := inputKind(req.NewInputs)
	p.settledNamespace(&diff, req)
	diff.ReplaceUnder("metadata.name", "metadata.namespace", "metadata.generateName", "kind")
	if oldKind.Group != newKind.Group {
		diff.Replace("apiVersion")
	}
	if !isPatch(req.URN, req.NewInputs) {
		p.replaceFixed(&diff, newKind, req)
		if p.unready(ctx, newKind, req) {
			diff.Replace(`metadata.annotations["` + annotationReplaceUnready + `"]`)
		}
	}
	p.deleteFirst(&diff, req)
	return diff, nil
}

// settledNamespace drops a namespace that only became explicit: the object has
// been there all the time.
func (p *Provider) settledNamespace(diff *server.Diff, req server.DiffRequest) {
	before, _ := stringAt(req.OldInputs, "metadata", "namespace")
	now, known := stringAt(req.NewInputs, "metadata", "namespace")
	place, _ := splitID(req.ID)
	if before == "" && known && now == place {
		delete(diff.Changes, "metadata.namespace")
	}
}

func (p *Provider) replaceFixed(diff *server.Diff, gvk schema.GroupVersionKind, req server.DiffRequest) {
	fixed := immutable[gvk.Group+"/"+gvk.Kind]
	for _, path := range diff.Paths() {
		if fixed.except != nil && fixed.except.MatchString(path) {
			continue
		}
		for _, root := range fixed.paths {
			if server.Within(path, root) || server.Within(root, path) {
				diff.Replace(path)
				break
			}
		}
	}
	p.mu.Lock()
	configMapMutable, secretMutable := p.config.configMapMutable, p.config.secretMutable
	p.mu.Unlock()
	switch gvk.Group + "/" + gvk.Kind {
	case "/ConfigMap":
		if !configMapMutable || isImmutable(req.OldInputs) {
			diff.ReplaceUnder("data", "binaryData")
		}
	case "/Secret":
		if !secretMutable || isImmutable(req.OldInputs) {
			diff.ReplaceUnder("data", "stringData")
		}
	default:
		return
	}
	if isImmutable(req.OldInputs) {
		diff.ReplaceUnder("immutable")
	}
}

func isImmutable(inputs resource.PropertyMap) bool {
	value := server.Plain(inputs)["immutable"]
	return value.IsBool() && value.BoolValue()
}

// deleteFirst: when the new object must have the old one's name, the old one has
// to go first.
func (p *Provider) deleteFirst(diff *server.Diff, req server.DiffRequest) {
	if len(diff.Replaces()) == 0 || annotation(req.NewInputs, annotationAutonamed) == "true" {
		return
	}
	oldName, _ := stringAt(req.OldInputs, "metadata", "name")
	newName, known := stringAt(req.NewInputs, "metadata", "name")
	place, _ := splitID(req.ID)
	namespace, namespaceKnown := stringAt(req.NewInputs, "metadata", "namespace")
	sameName := !known || (newName != "" && newName == oldName)
	samePlace := !namespaceKnown || namespace == place || namespace == ""
	oldKind, _ := inputKind(req.OldInputs)
	newKind, _ := inputKind(req.NewInputs)
	diff.DeleteBeforeReplace = sameName && samePlace && oldKind.GroupKind() == newKind.GroupKind()
}

// unready tells whether a Job that asks for it has to be replaced because it did
// not complete.
func (p *Provider) unready(ctx context.Context, gvk schema.GroupVersionKind, req server.DiffRequest) bool {
	if gvk.Group != "batch" || gvk.Kind != "Job" || annotation(req.NewInputs, annotationReplaceUnready) != "true" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := p.reach(ctx)
	if err != nil {
		return false
	}
	namespace, name := splitID(req.ID)
	live, err := c.get(ctx, gvk, namespace, name)
	if err != nil {
		return false
	}
	ready, _, err := jobComplete(live)
	return !ready || err != nil
}
