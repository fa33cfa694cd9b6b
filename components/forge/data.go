package forge

import (
	_ "embed"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

var (
	//go:embed save.py
	saveScript string
	//go:embed load.py
	loadScript string
)

// DataPodName is the name of DataPod in Namespace.
const DataPodName = "gitea-data"

// Data are the objects a forge's data lie in, its namespace and its volume, as New
// makes them of these Args: what is put there before is what it comes up with.
func Data(storage, class string) []manifest.Object {
	return []manifest.Object{manifest.Namespace(Namespace), volumeClaim(storage, class)}
}

// DataPod is a pod that only holds the forge's volume, for SaveData and LoadData to
// be run in. Image has Python; node, if not empty, is the one the volume is on.
func DataPod(image, node string) manifest.Object {
	spec := manifest.Object{
		"restartPolicy":                 "Never",
		"terminationGracePeriodSeconds": 1,
		"automountServiceAccountToken":  false,
		"enableServiceLinks":            false,
		// It ends by itself, should nobody be left to delete it.
		"activeDeadlineSeconds": 3600,
		"securityContext": manifest.Object{
			"runAsUser": uid, "runAsGroup": uid, "fsGroup": uid, "runAsNonRoot": true,
		},
		"containers": []any{manifest.Container(manifest.Object{
			"name": "data", "image": image,
			"command": []any{"python3", "-c", "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"},
			"volumeMounts": []any{
				manifest.Mount("data", workDir, false),
				manifest.Mount("scratch", "/tmp", false),
			},
			"resources": manifest.SmallResources(),
		})},
		"volumes": []any{
			manifest.Object{"name": "data", "persistentVolumeClaim": manifest.Object{"claimName": Volume}},
			manifest.ScratchVolume("scratch"),
		},
	}
	if node != "" {
		spec["nodeName"] = node
	}
	return manifest.Object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": manifest.Object{
			"name": DataPodName, "namespace": Namespace,
			"labels": manifest.Object{"app.kubernetes.io/name": DataPodName},
		},
		"spec": spec,
	}
}

// SaveData is a command that writes the data to standard output as a tar archive;
// the forge may run.
func SaveData() []string { return []string{"python3", "-c", saveScript, workDir} }

// LoadData is a command that fills the empty volume with the archive on standard
// input; the forge must not run.
func LoadData() []string { return []string{"python3", "-c", loadScript, workDir} }

// PodLabels select the pod of a forge that runs.
const PodLabels = "app.kubernetes.io/name=" + Service
