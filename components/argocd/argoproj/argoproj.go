// Package argoproj makes the objects of Argo CD's own kinds: Applications,
// ApplicationSets and AppProjects.
package argoproj

const (
	apiVersion = "argoproj.io/v1alpha1"
	// Finalizer makes Argo CD prune an Application's objects before it goes,
	// without waiting for their pods.
	Finalizer = "resources-finalizer.argocd.argoproj.io/background"
	// LocalCluster is Argo CD's name for the cluster it runs in.
	LocalCluster = "https://kubernetes.default.svc"
	// waitFor is the annotation Pulumi reads what to wait for from.
	waitFor = "pulumi.com/waitFor"
)
