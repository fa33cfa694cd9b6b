package layer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	archiveFile = "tree.tgz"
	// Finalizer makes Argo CD prune an Application's objects before it goes,
	// without waiting for their pods.
	Finalizer = "resources-finalizer.argocd.argoproj.io/background"
	// LocalCluster is Argo CD's name for the cluster it runs in.
	LocalCluster = "https://kubernetes.default.svc"
)

func (l *Layer) objectName() string { return "layer-" + l.Name + "-" + l.Hash }

func (l *Layer) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/part-of": "neuroscale", "neuroscale.dev/layer": l.Name}
}

func archiveConfigMap(name string, archive []byte) manifest.Object {
	o := manifest.ConfigMap(Namespace, name, nil)
	delete(o, "data")
	o["binaryData"] = manifest.Object{archiveFile: base64.StdEncoding.EncodeToString(archive)}
	return o
}

// pushSpec describes a Job that commits an archive to a repository.
type pushSpec struct {
	name, image string
	labels      map[string]string
	// archive is the ConfigMap with the tree, credentials the Secret with
	// username and password.
	archive, credentials, script string
	env                          map[string]string
}

// pushJob is such a Job: credentials reach Git from files only.
func pushJob(s pushSpec) manifest.Object {
	env := []any{
		manifest.Object{"name": "TREE", "value": "/etc/delivery/tree/" + archiveFile},
		manifest.Object{"name": "CREDENTIALS", "value": "/etc/delivery/credentials"},
		manifest.Object{"name": "WORK", "value": "/tmp"},
	}
	for _, key := range sortedKeys(s.env) {
		env = append(env, manifest.Object{"name": key, "value": s.env[key]})
	}
	return manifest.Job(manifest.JobSpec{
		Namespace: Namespace, Name: s.name, Labels: s.labels, UID: gitUID,
		Container: manifest.Object{
			"name": "push", "image": s.image,
			"command": []any{"bash", "/etc/delivery/scripts/" + s.script},
			"env":     env,
			"volumeMounts": []any{
				manifest.Mount("tree", "/etc/delivery/tree", true),
				manifest.Mount("credentials", "/etc/delivery/credentials", true),
				manifest.Mount("scripts", "/etc/delivery/scripts", true),
				manifest.Mount("scratch", "/tmp", false),
			},
			"resources": manifest.SmallResources(),
		},
		Volumes: []any{
			manifest.ConfigMapVolume("tree", s.archive),
			manifest.SecretVolume("credentials", s.credentials),
			manifest.ConfigMapVolume("scripts", gitScripts()),
			manifest.ScratchVolume("scratch"),
		},
	})
}

func layerPush(l *Layer, d *DeliveryArgs) manifest.Object {
	return pushJob(pushSpec{
		name: l.objectName(), image: d.GitImage, labels: l.labels(),
		archive: l.objectName(), credentials: writerSecret, script: "push.sh",
		env: map[string]string{
			"REPOSITORY": d.Repository.URL,
			"TAG":        l.Tag,
			"MESSAGE":    fmt.Sprintf("Layer %s %s", l.Name, l.Hash),
		},
	})
}

func applicationObject(l *Layer, args *Args) manifest.Object {
	d := args.Delivery.args
	source := manifest.Object{"repoURL": d.Repository.URL, "targetRevision": l.Tag, "path": "."}
	if len(args.Patches) > 0 {
		patches := []any{}
		for _, p := range args.Patches {
			target := manifest.Object{"kind": p.Kind, "name": p.Name}
			if p.Group != "" {
				target["group"] = p.Group
			}
			if p.Version != "" {
				target["version"] = p.Version
			}
			patches = append(patches, manifest.Object{"target": target, "patch": p.Operations})
		}
		source["kustomize"] = manifest.Object{"patches": patches}
	}
	spec := manifest.Object{
		"project":     d.Project,
		"source":      source,
		"destination": manifest.Object{"server": LocalCluster, "namespace": args.Namespace},
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
	if len(args.Ignore) > 0 {
		ignored := []any{}
		for _, i := range args.Ignore {
			paths := []any{}
			for _, path := range i.JQPaths {
				paths = append(paths, path)
			}
			entry := manifest.Object{"kind": i.Kind, "jqPathExpressions": paths}
			if i.Group != "" {
				entry["group"] = i.Group
			}
			if i.Name != "" {
				entry["name"] = i.Name
			}
			ignored = append(ignored, entry)
		}
		spec["ignoreDifferences"] = ignored
	}
	return manifest.Object{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": manifest.Object{
			"name": l.Name, "namespace": d.ApplicationNamespace,
			"labels":      anyMap(l.labels()),
			"finalizers":  []any{Finalizer},
			"annotations": manifest.Object{"pulumi.com/waitFor": readyConditions(l.Tag)},
		},
		"spec": spec,
	}
}

// readyConditions are what a synced, healthy Application says about tag. Without
// comparedTo the answer could still be about the tag before.
func readyConditions(tag string) string {
	text, err := json.Marshal([]string{
		"jsonpath={.status.sync.status}=Synced",
		"jsonpath={.status.sync.comparedTo.source.targetRevision}=" + tag,
		"jsonpath={.status.operationState.phase}=Succeeded",
		"jsonpath={.status.health.status}=Healthy",
	})
	if err != nil {
		panic(err) // a list of strings always has JSON
	}
	return string(text)
}
