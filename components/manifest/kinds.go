package manifest

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// Namespace is a Namespace object.
func Namespace(name string) Object {
	return Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": name}}
}

// ConfigMap is an immutable ConfigMap: its name is expected to say what is in it.
func ConfigMap(namespace, name string, data map[string]string) Object {
	d := Object{}
	for key, value := range data {
		d[key] = value
	}
	return Object{
		"apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
		"metadata": Object{"name": name, "namespace": namespace},
		"data":     d,
	}
}

// Settings is a ConfigMap whose content may change under its name. Pods that have it
// mounted see that within two minutes: of an immutable one they never would, as a
// kubelet reads it once.
func Settings(namespace, name string, data map[string]string) Object {
	o := ConfigMap(namespace, name, data)
	delete(o, "immutable")
	return o
}

// Secret is an Opaque Secret of values in clear text; they leave the program
// encoded and marked secret.
func Secret(namespace, name string, labels map[string]string, values map[string]pulumi.StringInput) Object {
	data := Object{}
	for key, value := range values {
		data[key] = Base64(value)
	}
	metadata := Object{"name": name, "namespace": namespace}
	if len(labels) > 0 {
		l := Object{}
		for key, value := range labels {
			l[key] = value
		}
		metadata["labels"] = l
	}
	return Object{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
}

// Base64 encodes a secret value for a Secret's data.
func Base64(value pulumi.StringInput) pulumi.StringOutput {
	return pulumi.ToSecret(value.ToStringOutput().ApplyT(encode)).(pulumi.StringOutput)
}

// Container hardens a container: not root, no privileges, nothing to write to
// but what is mounted.
func Container(c Object) Object {
	c["securityContext"] = Object{
		"allowPrivilegeEscalation": false,
		"readOnlyRootFilesystem":   true,
		"runAsNonRoot":             true,
		"capabilities":             Object{"drop": []any{"ALL"}},
		"seccompProfile":           Object{"type": "RuntimeDefault"},
	}
	c["imagePullPolicy"] = "IfNotPresent"
	return c
}

// JobSpec describes a Job that runs one container to its end.
type JobSpec struct {
	Namespace, Name string
	Labels          map[string]string
	// Annotations of its pods: a change runs the Job again.
	Annotations Object
	// UID the container runs as, also its group and the group of its volumes.
	UID            int
	ServiceAccount string // empty: no token is mounted
	Container      Object
	Volumes        []any
	// Tries is how often it is tried before the update ends with what the last try said;
	// the next update makes the Job anew. 0 is for ever.
	Tries int
	// Unawaited is that no update waits for it.
	Unawaited bool
}

// JobTimeout is how long an update of the stack waits for a Job.
func JobTimeout() pulumi.ResourceOption {
	return pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "5m", Update: "5m", Delete: "1m"})
}

// Job is a Job that goes on trying, unless its tries are counted: a failed Job stays
// failed for ever, while one that still tries is what the next update waits for again.
func Job(s JobSpec) Object {
	restart, retries, annotations := "OnFailure", 1000, Object{}
	if s.Tries > 0 {
		// A pod for each try, so that what it said stays there to be read.
		restart, retries = "Never", s.Tries-1
		annotations["pulumi.com/replaceUnready"] = "true"
	}
	if s.Unawaited {
		annotations["pulumi.com/skipAwait"] = "true"
	}
	labels := Object{}
	for key, value := range s.Labels {
		labels[key] = value
	}
	pod := Object{
		"restartPolicy":                 restart,
		"terminationGracePeriodSeconds": 5,
		"automountServiceAccountToken":  s.ServiceAccount != "",
		"securityContext": Object{
			"runAsUser": s.UID, "runAsGroup": s.UID, "fsGroup": s.UID, "runAsNonRoot": true,
		},
		"containers": []any{tellingWhy(Container(s.Container))},
		"volumes":    s.Volumes,
	}
	if s.ServiceAccount != "" {
		pod["serviceAccountName"] = s.ServiceAccount
	}
	template := Object{"labels": labels}
	if len(s.Annotations) > 0 {
		template["annotations"] = s.Annotations
	}
	metadata := Object{"name": s.Name, "namespace": s.Namespace, "labels": labels}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	return Object{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": metadata,
		"spec": Object{
			"backoffLimit": retries,
			"template":     Object{"metadata": template, "spec": pod},
		},
	}
}

// tellingWhy has the last lines of a container that failed in the pod's status, where
// Pulumi and people look for the reason.
func tellingWhy(c Object) Object {
	c["terminationMessagePolicy"] = "FallbackToLogsOnError"
	return c
}

// SmallResources are those of a short script.
func SmallResources() Object {
	return Object{
		"requests": Object{"cpu": "10m", "memory": "32Mi"},
		"limits":   Object{"memory": "256Mi"},
	}
}

// ConfigMapVolume mounts a ConfigMap's files, executable.
func ConfigMapVolume(name, configMap string) Object {
	return Object{"name": name, "configMap": Object{"name": configMap, "defaultMode": 0o555}}
}

// SecretVolume mounts a Secret's files for the pod's group.
func SecretVolume(name, secret string) Object {
	return Object{"name": name, "secret": Object{"secretName": secret, "defaultMode": 0o440}}
}

// ScratchVolume is an empty folder in memory, gone with the pod.
func ScratchVolume(name string) Object {
	return Object{"name": name, "emptyDir": Object{"medium": "Memory", "sizeLimit": "64Mi"}}
}

// Mount of a volume, read-only unless it is scratch space.
func Mount(volume, path string, readOnly bool) Object {
	return Object{"name": volume, "mountPath": path, "readOnly": readOnly}
}

// Claim is the part of a PersistentVolumeClaim's spec that settings say: its size, a
// Kubernetes quantity, and, unless empty, its StorageClass.
func Claim(size, class string) Object {
	spec := Object{"resources": Object{"requests": Object{"storage": size}}}
	if class != "" {
		spec["storageClassName"] = class
	}
	return spec
}
