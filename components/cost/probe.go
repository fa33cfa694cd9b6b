package cost

import (
	_ "embed"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

//go:embed allocation.py
var allocationScript string

const (
	probe    = "cost-probe"
	probeUID = 1000 // of the user in KServe's storage initializer
)

// addProbe registers a Job that ends when OpenCost knows what OpenCost costs. Other
// layers, by their hashes, are asked again.
func addProbe(set *manifest.Set, args *Args, hashes []string, delivered []pulumi.Resource) pulumi.Resource {
	goes := pulumi.DeletedWith(args.Delivery.Namespace)
	script := probe + "-" + manifest.Hash(allocationScript)
	scripts := set.Add(probe, manifest.ConfigMap(layer.Namespace, script, map[string]string{"allocation.py": allocationScript}),
		goes, pulumi.DependsOn([]pulumi.Resource{args.Delivery.Namespace}))
	return set.Add(probe, manifest.Job(manifest.JobSpec{
		Namespace: layer.Namespace, Name: probe + "-" + manifest.Hash(slices.Concat(hashes, []string{allocationScript, args.ProbeImage})...),
		Labels: map[string]string{"app.kubernetes.io/part-of": "neuroscale"}, UID: probeUID,
		Container: manifest.Object{
			"name": "probe", "image": args.ProbeImage,
			"command": []any{"python3", "/etc/probe/allocation.py"},
			"env": []any{
				manifest.Object{"name": "OPENCOST", "value": "http://" + address(OpenCost)},
				manifest.Object{"name": "NAMESPACE", "value": opencostNamespace},
				manifest.Object{"name": "INTERVAL", "value": strconv.Itoa(seconds(args.Settings.Interval))},
				manifest.Object{"name": "SECONDS", "value": "240"},
				manifest.Object{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
			},
			"volumeMounts": []any{manifest.Mount("script", "/etc/probe", true)},
			"resources":    manifest.SmallResources(),
		},
		Volumes: []any{manifest.ConfigMapVolume("script", script)},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn(append([]pulumi.Resource{scripts}, delivered...)))
}
