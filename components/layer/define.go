package layer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const definitionsFile = "definitions.json.gz"

// addDefinitions registers a Job that makes whole what Kinds outlined for the layer, in
// Argo CD's name, with an account that may change these definitions and nothing else.
// After each definition that changes while Argo CD runs, its controller asks for the
// schemas of all kinds, compares nothing meanwhile, and takes what it saw before that
// for what is there: on a busy machine it then applied a layer three times.
func addDefinitions(set *manifest.Set, l *Layer, args *Args, kinds []kind, outlines []pulumi.Resource) pulumi.Resource {
	d := args.Delivery
	var whole, names []any
	for _, kind := range kinds {
		whole, names = append(whole, kind.definition), append(names, kind.name)
	}
	compressed := compress(whole)
	object := "definitions-" + l.Name + "-" + manifest.Hash(string(compressed))
	content := manifest.ConfigMap(Namespace, object, nil)
	delete(content, "data")
	content["binaryData"] = manifest.Object{definitionsFile: base64.StdEncoding.EncodeToString(compressed)}

	logical, account := l.Name+"-definitions", "definitions-"+l.Name
	inNamespace := pulumi.DependsOn([]pulumi.Resource{d.Namespace})
	goes := pulumi.DeletedWith(d.Namespace)
	clusterMetadata := manifest.Object{"name": manifest.Manager + "-" + account}
	needs := slices.Concat([]pulumi.Resource{
		set.Add(logical, content, inNamespace, goes),
		set.Add(logical, manifest.Object{
			"apiVersion": "v1", "kind": "ServiceAccount", "metadata": manifest.Object{"name": account, "namespace": Namespace},
		}, inNamespace, goes),
		set.Add(logical, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": clusterMetadata,
			"rules": []any{manifest.Object{
				"apiGroups": []any{"apiextensions.k8s.io"}, "resources": []any{"customresourcedefinitions"},
				"resourceNames": names, "verbs": []any{"get", "patch"},
			}},
		}),
		set.Add(logical, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": clusterMetadata,
			"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": clusterMetadata["name"]},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": account, "namespace": Namespace}},
		}),
	}, outlines, d.pythonReady, args.DependsOn)
	return set.Add(logical, l.pythonJob(d, pythonSpec{
		name: object, script: "define.py", account: account, files: object,
		env: map[string]string{"DEFINITIONS": files + definitionsFile, "MANAGER": argoproj.FieldManager},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn(needs))
}

// compress is value as JSON by gzip, which python3 reads without a package.
func compress(value any) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(err) // what was read from YAML
	}
	if err := w.Close(); err != nil {
		panic(err) // a Buffer takes everything
	}
	return b.Bytes()
}
