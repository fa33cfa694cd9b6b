package endpoints

import (
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

func applicationSet(args *Args, s source, all []source) manifest.Object {
	url := args.Repositories[s.repository].URL
	directories := []any{manifest.Object{"path": Folder + "/*"}}
	for _, pattern := range s.excluded(all, args.Reserved) {
		directories = append(directories, manifest.Object{"path": Folder + "/" + pattern, "exclude": true})
	}
	return manifest.Object{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
		"metadata": manifest.Object{
			"name": ApplicationSet + s.suffix, "namespace": args.ApplicationNamespace,
			"annotations": manifest.Object{"pulumi.com/waitFor": "condition=ResourcesUpToDate"},
		},
		"spec": manifest.Object{
			"goTemplate":        true,
			"goTemplateOptions": []any{"missingkey=error"},
			"generators": []any{manifest.Object{"git": manifest.Object{
				"repoURL": url, "revision": "main",
				"requeueAfterSeconds": args.RequeueSeconds,
				"directories":         directories,
			}}},
			"template": manifest.Object{
				"metadata": manifest.Object{
					"name": s.prefix + "{{.path.basename}}", "namespace": args.ApplicationNamespace,
					"finalizers": []any{layer.Finalizer},
					// A push refreshes only the Applications whose folder it touches.
					"annotations": manifest.Object{"argocd.argoproj.io/manifest-generate-paths": "."},
				},
				"spec": manifest.Object{
					"project": s.tenant.Project,
					"source": manifest.Object{
						"repoURL": url, "targetRevision": "main", "path": "{{.path.path}}",
						// Plain manifests at any depth, as the guard reads them: said here, no
						// file in the folder can make Argo CD run kustomize or Helm instead.
						"directory": manifest.Object{"recurse": true},
					},
					"destination": manifest.Object{"server": layer.LocalCluster, "namespace": s.tenant.Namespace},
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
			},
		},
	}
}
