package argoproj

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// FieldManager is who Argo CD is when it applies an object by the server's apply.
const FieldManager = "argocd-controller"

// Application keeps the cluster as one revision of a repository says.
type Application struct {
	Name, Namespace string
	Labels          map[string]string
	Project         string
	// Repository is a URL.
	Repository, Revision string
	// RevisionName is what people call the revision; it may be empty.
	RevisionName string
	// Destination is the namespace where objects without one go.
	Destination string
	Patches     []Patch
	Ignore      []IgnoredDifference
}

// Patch is a JSON patch (RFC 6902) of the objects of one kind and name.
type Patch struct {
	Group, Version, Kind, Name string
	Operations                 pulumi.StringInput
}

// IgnoredDifference leaves fields of objects, given as jq paths, to the
// controllers that write them.
type IgnoredDifference struct {
	Group, Kind, Name string // Name may be empty: all
	JQPaths           []string
}

// Object is the Application. Pulumi waits for it until it is synced at Revision
// and healthy.
func (a Application) Object() manifest.Object {
	labels := manifest.Object{}
	for key, value := range a.Labels {
		labels[key] = value
	}
	source := manifest.Object{"repoURL": a.Repository, "targetRevision": a.Revision, "path": "."}
	if len(a.Patches) > 0 {
		source["kustomize"] = manifest.Object{"patches": patches(a.Patches)}
	}
	spec := manifest.Object{
		"project":     a.Project,
		"source":      source,
		"destination": destination(a.Destination),
		"syncPolicy": manifest.Object{
			"automated": manifest.Object{"prune": true, "selfHeal": true},
			"syncOptions": []any{
				"ServerSideApply=true",
				"RespectIgnoreDifferences=true",
			},
			"retry": manifest.Object{
				// It has to end: an Application that is still retrying an old tag takes no
				// new one and cannot be deleted. Three minutes, as the delays add up.
				"limit":   26,
				"backoff": manifest.Object{"duration": "1s", "factor": 2, "maxDuration": "8s"},
			},
		},
	}
	if a.RevisionName != "" {
		spec["info"] = []any{manifest.Object{"name": "revision", "value": a.RevisionName}}
	}
	if len(a.Ignore) > 0 {
		spec["ignoreDifferences"] = ignored(a.Ignore)
	}
	return manifest.Object{
		"apiVersion": apiVersion, "kind": "Application",
		"metadata": manifest.Object{
			"name": a.Name, "namespace": a.Namespace,
			"labels":      labels,
			"finalizers":  []any{Finalizer},
			"annotations": manifest.Object{waitFor: readyConditions(a.Revision)},
		},
		"spec": spec,
	}
}

// readyConditions are what Pulumi waits for.
func readyConditions(revision string) string {
	var conditions []string
	for _, field := range kube.ApplicationReady(revision) {
		conditions = append(conditions, fmt.Sprintf("jsonpath={.%s}=%s", field.Path, field.Value))
	}
	text, err := json.Marshal(conditions)
	if err != nil {
		panic(err) // a list of strings always has JSON
	}
	return string(text)
}

func destination(namespace string) manifest.Object {
	return manifest.Object{"server": LocalCluster, "namespace": namespace}
}

func patches(list []Patch) []any {
	out := []any{}
	for _, p := range list {
		target := manifest.Object{"kind": p.Kind, "name": p.Name}
		if p.Group != "" {
			target["group"] = p.Group
		}
		if p.Version != "" {
			target["version"] = p.Version
		}
		out = append(out, manifest.Object{"target": target, "patch": p.Operations})
	}
	return out
}

func ignored(list []IgnoredDifference) []any {
	out := []any{}
	for _, i := range list {
		entry := manifest.Object{"kind": i.Kind, "jqPathExpressions": texts(i.JQPaths)}
		if i.Group != "" {
			entry["group"] = i.Group
		}
		if i.Name != "" {
			entry["name"] = i.Name
		}
		out = append(out, entry)
	}
	return out
}

func texts(list []string) []any {
	out := []any{}
	for _, text := range list {
		out = append(out, text)
	}
	return out
}
