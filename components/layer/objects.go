package layer

import (
	"encoding/base64"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const archiveFile = "tree.tgz"

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

// files is where a script finds those it is given, with a slash at the end.
const files = "/etc/files/"

// pythonSpec describes a Job that runs one of the scripts of pythonScripts.
type pythonSpec struct {
	name, script, account string
	// files is the ConfigMap with those it reads.
	files string
	env   map[string]string
}

// pythonJob asks the API server as an account.
func (l *Layer) pythonJob(d *Delivery, s pythonSpec) manifest.Object {
	env := []any{
		manifest.Object{"name": "ACCOUNT", "value": "/var/run/secrets/kubernetes.io/serviceaccount"},
		manifest.Object{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
	}
	for _, key := range sortedKeys(s.env) {
		env = append(env, manifest.Object{"name": key, "value": s.env[key]})
	}
	return manifest.Job(manifest.JobSpec{
		Namespace: Namespace, Name: s.name, Labels: l.labels(), UID: probeUID, ServiceAccount: s.account,
		Container: manifest.Object{
			"name": "script", "image": d.args.ProbeImage,
			"command":      []any{"python3", "/etc/scripts/" + s.script},
			"env":          env,
			"volumeMounts": []any{manifest.Mount("files", files, true), manifest.Mount("scripts", "/etc/scripts", true)},
			"resources":    manifest.SmallResources(),
		},
		Volumes: []any{manifest.ConfigMapVolume("files", s.files), manifest.ConfigMapVolume("scripts", pythonScripts())},
	})
}

// pushSpec describes a Job that commits an archive to a repository.
type pushSpec struct {
	name, image string
	labels      map[string]string
	// archive is the ConfigMap with the tree, credentials the Secret with
	// username and password.
	archive, credentials, script string
	env                          map[string]string
	// public is that everybody knows the certificate of the repository's server.
	public bool
}

// pushJob is such a Job: credentials reach Git from files only.
func pushJob(s pushSpec) manifest.Object {
	env := []any{
		manifest.Object{"name": "TREE", "value": "/etc/delivery/tree/" + archiveFile},
		manifest.Object{"name": "CREDENTIALS", "value": "/etc/delivery/credentials"},
		manifest.Object{"name": "WORK", "value": "/tmp"},
	}
	if !s.public {
		env = append(env, manifest.Object{"name": "GIT_SSL_CAINFO", "value": "/etc/delivery/authority/" + certificates.AuthorityKey})
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
				manifest.Mount("authority", "/etc/delivery/authority", true),
				manifest.Mount("scratch", "/tmp", false),
			},
			"resources": manifest.SmallResources(),
		},
		Volumes: []any{
			manifest.ConfigMapVolume("tree", s.archive),
			manifest.SecretVolume("credentials", s.credentials),
			manifest.ConfigMapVolume("scripts", gitScripts()),
			manifest.ConfigMapVolume("authority", Authority),
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
			"COMMIT":     l.Commit,
			"MESSAGE":    l.message(),
		},
	})
}

func applicationObject(l *Layer, args *Args, patches []Patch) manifest.Object {
	d := args.Delivery.args
	return argoproj.Application{
		Name: l.Name, Namespace: d.ApplicationNamespace, Labels: l.labels(), Project: d.Project,
		Repository: d.Repository.URL, Revision: l.Commit, RevisionName: l.Tag, Destination: args.Namespace(),
		Patches: patches, Ignore: args.Ignore,
	}.Object()
}
