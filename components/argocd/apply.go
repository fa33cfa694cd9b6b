package argocd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// installation applies objects in three ranks: the namespace; definitions and
// everything processes read; the processes.
type installation struct {
	name      string
	set       *manifest.Set
	namespace *manifest.Resource

	// settings are more data of rendered ConfigMaps, by name: what no layer knows.
	settings map[string]manifest.Object

	inputs, definitions, workloads []pulumi.Resource
}

// own are the objects of the rendered layer that this component makes itself,
// because their content is generated.
var own = []string{"Namespace/" + Namespace, "Secret/argocd-secret", "Secret/argocd-redis", "ConfigMap/argocd-tls-certs-cm"}

// placed are the options of objects that live and go with the namespace.
func (in *installation) placed() []pulumi.ResourceOption {
	return []pulumi.ResourceOption{
		pulumi.DependsOn([]pulumi.Resource{in.namespace}),
		pulumi.DeletedWith(in.namespace),
	}
}

// before registers something the processes need.
func (in *installation) before(name string, object manifest.Object) {
	in.inputs = append(in.inputs, in.set.Add(in.name+"-"+name, object, in.placed()...))
}

// apply registers the rendered objects, in the order given within a rank.
func (in *installation) apply(objects []manifest.Object) error {
	var workloads []manifest.Object
	for _, object := range objects {
		kind, _ := object["kind"].(string)
		metadata, _ := object["metadata"].(manifest.Object)
		name, _ := metadata["name"].(string)
		if kind == "" || name == "" {
			return fmt.Errorf("a rendered object has no kind or name: %v", object)
		}
		if slices.Contains(own, kind+"/"+name) {
			continue
		}
		if more, ok := in.settings[name]; ok && kind == "ConfigMap" {
			object = with(object, more)
			delete(in.settings, name)
		}
		logical := in.name + "-" + strings.TrimPrefix(name, "argocd-")
		namespace, _ := metadata["namespace"].(string)
		switch {
		case kind == "CustomResourceDefinition":
			r := in.set.Add(logical, object)
			in.definitions = append(in.definitions, r)
			in.inputs = append(in.inputs, r)
		case kind == "Deployment" || kind == "StatefulSet":
			workloads = append(workloads, object)
		case kind == "Service":
			// Pulumi waits for a Service until a pod answers, so pods cannot
			// wait for it.
			in.workloads = append(in.workloads, in.set.Add(logical, object, in.placed()...))
		case namespace == "":
			in.inputs = append(in.inputs, in.set.Add(logical, object))
		default:
			in.inputs = append(in.inputs, in.set.Add(logical, object, in.placed()...))
		}
	}
	for name := range in.settings {
		return fmt.Errorf("no ConfigMap %s was rendered", name)
	}
	for _, object := range workloads {
		name := object["metadata"].(manifest.Object)["name"].(string)
		in.workloads = append(in.workloads, in.set.Add(in.name+"-"+strings.TrimPrefix(name, "argocd-"), object,
			pulumi.DependsOn(append([]pulumi.Resource{in.namespace}, in.inputs...)),
			pulumi.DeletedWith(in.namespace)))
	}
	return nil
}
