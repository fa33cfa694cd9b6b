package argoproj

import "github.com/neuroscale-platform/neuroscale/components/manifest"

// ApplicationSet makes an Application of each folder in one folder of a
// repository's main branch.
type ApplicationSet struct {
	Name, Namespace string
	// Repository is a URL, Folder the path in it whose folders are followed.
	Repository, Folder string
	// Excluded are glob patterns of the folders that are left out.
	Excluded []string
	// RequeueSeconds is how often the repository is looked at for new folders.
	RequeueSeconds int
	// Prefix of the Applications' names: the folder's name follows.
	Prefix string
	// Project and Destination, a namespace, of the Applications.
	Project, Destination string
}

// Object is the ApplicationSet. Pulumi waits for it until there is an Application
// of every folder.
func (s ApplicationSet) Object() manifest.Object {
	directories := []any{manifest.Object{"path": s.Folder + "/*"}}
	for _, pattern := range s.Excluded {
		directories = append(directories, manifest.Object{"path": s.Folder + "/" + pattern, "exclude": true})
	}
	return manifest.Object{
		"apiVersion": apiVersion, "kind": "ApplicationSet",
		"metadata": manifest.Object{
			"name": s.Name, "namespace": s.Namespace,
			"annotations": manifest.Object{waitFor: "condition=ResourcesUpToDate"},
		},
		"spec": manifest.Object{
			"goTemplate":        true,
			"goTemplateOptions": []any{"missingkey=error"},
			"generators": []any{manifest.Object{"git": manifest.Object{
				"repoURL": s.Repository, "revision": "main",
				"requeueAfterSeconds": s.RequeueSeconds,
				"directories":         directories,
			}}},
			"template": s.template(),
		},
	}
}

// template is the Application of one folder.
func (s ApplicationSet) template() manifest.Object {
	return manifest.Object{
		"metadata": manifest.Object{
			"name": s.Prefix + "{{.path.basename}}", "namespace": s.Namespace,
			"finalizers": []any{Finalizer},
			// A push refreshes only the Applications whose folder it touches.
			"annotations": manifest.Object{"argocd.argoproj.io/manifest-generate-paths": "."},
		},
		"spec": manifest.Object{
			"project": s.Project,
			"source": manifest.Object{
				"repoURL": s.Repository, "targetRevision": "main", "path": "{{.path.path}}",
				// Plain manifests at any depth, as the guard reads them: said here, no
				// file in the folder can make Argo CD run kustomize or Helm instead.
				"directory": manifest.Object{"recurse": true},
			},
			"destination": destination(s.Destination),
			"syncPolicy": manifest.Object{
				"automated":   manifest.Object{"prune": true, "selfHeal": true},
				"syncOptions": []any{"ServerSideApply=true"},
				// An Application that is still retrying can neither be deleted nor, unless
				// it refreshes, take what was merged since. Two minutes are enough for a
				// platform that comes up; what fails longer needs another merge.
				"retry": manifest.Object{
					"limit": 8, "refresh": true,
					"backoff": manifest.Object{"duration": "1s", "factor": 2, "maxDuration": "30s"},
				},
			},
		},
	}
}
