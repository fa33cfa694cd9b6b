package kubernetes

import (
	"context"
	"errors"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotations that steer the provider.
const (
	annotationAutonamed         = "pulumi.com/autonamed"
	annotationPatchForce        = "pulumi.com/patchForce"
	annotationFieldManager      = "pulumi.com/patchFieldManager"
	annotationSkipAwait         = "pulumi.com/skipAwait"
	annotationWaitFor           = "pulumi.com/waitFor"
	annotationTimeoutSeconds    = "pulumi.com/timeoutSeconds"
	annotationReplaceUnready    = "pulumi.com/replaceUnready"
	annotationPropagationPolicy = "pulumi.com/deletionPropagationPolicy"
)

// maxNameLength is the longest name an object may have.
const maxNameLength = 253

// Check implements server.Provider: it completes inputs with what the type says
// (apiVersion, kind), with a name and with a namespace, and refuses malformed
// annotations before anything is created.
func (p *Provider) Check(ctx context.Context, req server.CheckRequest) (resource.PropertyMap, []server.Failure, error) {
	gvk, err := kindOf(req.URN)
	if err != nil {
		return nil, []server.Failure{{Reason: err.Error()}}, nil
	}
	inputs := req.News.Copy()
	if _, ok := inputs["apiVersion"]; !ok {
		inputs["apiVersion"] = resource.NewProperty(gvk.GroupVersion().String())
	}
	if _, ok := inputs["kind"]; !ok {
		inputs["kind"] = resource.NewProperty(gvk.Kind)
	}
	gvk, known := inputKind(inputs)
	metadata, failure := metadataOf(inputs)
	if failure != nil {
		return nil, []server.Failure{*failure}, nil
	}
	if metadata == nil || !known {
		return inputs, nil, nil // not known before the update
	}
	patch := isPatch(req.URN, inputs)
	if failure := p.assignName(req, metadata, patch); failure != nil {
		return nil, []server.Failure{*failure}, nil
	}
	p.assignNamespace(ctx, gvk, req.Olds, metadata)
	return inputs, checkAnnotations(inputs), nil
}

// metadataOf returns the inputs' metadata for writing, creating it when absent.
// It is nil when it is not known yet.
func metadataOf(inputs resource.PropertyMap) (resource.PropertyMap, *server.Failure) {
	value, ok := inputs["metadata"]
	secret := ok && value.IsSecret()
	if secret {
		value = value.SecretValue().Element
	}
	switch {
	case !ok || value.IsNull():
		value = resource.NewProperty(resource.PropertyMap{})
	case value.IsComputed() || value.IsOutput():
		return nil, nil
	case !value.IsObject():
		return nil, &server.Failure{Property: "metadata", Reason: "metadata must be an object"}
	}
	metadata := value.ObjectValue().Copy()
	value = resource.NewProperty(metadata)
	if secret {
		value = resource.MakeSecret(value)
	}
	inputs["metadata"] = value
	return metadata, nil
}

// inputKind reads the group, version and kind of the object described; known is
// false before an update that computes them.
func inputKind(inputs resource.PropertyMap) (schema.GroupVersionKind, bool) {
	apiVersion, known := stringAt(inputs, "apiVersion")
	kind, kindKnown := stringAt(inputs, "kind")
	return schema.FromAPIVersionAndKind(apiVersion, kind), known && kindKnown
}

// assignName keeps the name chosen before, or chooses one when the program gives
// none.
func (p *Provider) assignName(req server.CheckRequest, metadata resource.PropertyMap, patch bool) *server.Failure {
	for _, key := range []resource.PropertyKey{"name", "generateName"} {
		if value, ok := metadata[key]; ok && !value.IsNull() {
			if s := server.Plain(metadata)[key]; s.IsString() && s.StringValue() == "" && key == "name" {
				return &server.Failure{Property: "metadata.name", Reason: "metadata.name must not be empty"}
			}
			return nil
		}
	}
	if patch {
		return &server.Failure{Property: "metadata.name", Reason: "a patch must name the object it changes in metadata.name"}
	}
	name := ""
	old, _ := stringAt(req.Olds, "metadata", "name")
	switch {
	case old != "" && annotation(req.Olds, annotationAutonamed) == "true":
		name = old
	case req.Autonaming != nil && req.Autonaming.Disabled:
		return &server.Failure{Property: "metadata.name", Reason: "metadata.name is required because automatic names are turned off"}
	case req.Autonaming != nil && req.Autonaming.Proposed != "":
		name = req.Autonaming.Proposed
	default:
		unique, err := resource.NewUniqueName(req.RandomSeed, req.URN.Name()+"-", 8, maxNameLength, nil)
		if err != nil {
			return &server.Failure{Property: "metadata.name", Reason: err.Error()}
		}
		name = unique
	}
	metadata["name"] = resource.NewProperty(name)
	before := metadata["annotations"]
	if before.IsComputed() {
		return nil
	}
	annotations := resource.PropertyMap{annotationAutonamed: resource.NewProperty("true")}
	given, _ := objectAt(metadata, "annotations")
	for key, value := range given {
		annotations[key] = value
	}
	metadata["annotations"] = resource.NewProperty(annotations)
	if before.IsSecret() {
		metadata["annotations"] = resource.MakeSecret(metadata["annotations"])
	}
	return nil
}

// assignNamespace fills in the namespace of a namespaced object that names none.
// While the cluster cannot say whether a kind is namespaced, what was found out
// before holds.
func (p *Provider) assignNamespace(ctx context.Context, gvk schema.GroupVersionKind, olds, metadata resource.PropertyMap) {
	if value, ok := metadata["namespace"]; ok && !value.IsNull() {
		if !value.IsString() || value.StringValue() != "" {
			return
		}
	}
	delete(metadata, "namespace")
	namespaced, err := p.namespaced(ctx, gvk)
	if err != nil {
		if old, _ := stringAt(olds, "metadata", "namespace"); old != "" {
			metadata["namespace"] = resource.NewProperty(old)
		}
		return
	}
	if namespaced {
		metadata["namespace"] = resource.NewProperty(p.defaultNamespace())
	}
}

func (p *Provider) defaultNamespace() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.namespace
}

// namespaced tells the scope of a kind, asking the cluster for kinds that are
// not Kubernetes' own.
func (p *Provider) namespaced(ctx context.Context, gvk schema.GroupVersionKind) (bool, error) {
	if namespaced, known := builtinScope(gvk); known {
		return namespaced, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cluster, err := p.reach(ctx)
	if err != nil {
		return false, err
	}
	kind, err := cluster.resolve(ctx, gvk)
	return kind.namespaced, err
}

func checkAnnotations(inputs resource.PropertyMap) []server.Failure {
	var failures []server.Failure
	refuse := func(name string, err error) {
		if err != nil {
			failures = append(failures, server.Failure{
				Property: `metadata.annotations["` + name + `"]`, Reason: err.Error(),
			})
		}
	}
	_, err := parseWaitFor(annotation(inputs, annotationWaitFor))
	refuse(annotationWaitFor, err)
	_, err = parseTimeout(annotation(inputs, annotationTimeoutSeconds))
	refuse(annotationTimeoutSeconds, err)
	switch annotation(inputs, annotationPropagationPolicy) {
	case "", "foreground", "background", "orphan", "Foreground", "Background", "Orphan":
	default:
		refuse(annotationPropagationPolicy, errors.New("must be foreground, background or orphan"))
	}
	return failures
}
