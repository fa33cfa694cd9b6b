// Package manifest registers Kubernetes objects of any kind as Pulumi resources.
// The tokens are those of the typed SDK, so the same provider serves both; what
// is saved is compiling that SDK.
package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Object is a Kubernetes object as written in YAML. Its values may be pulumi
// Inputs at any depth.
type Object = map[string]any

// Resource is a registered object.
type Resource struct{ pulumi.CustomResourceState }

// Token is the Pulumi type of a Kubernetes kind, such as
// kubernetes:apps/v1:Deployment.
func Token(apiVersion, kind string) string {
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	return "kubernetes:" + apiVersion + ":" + kind
}

// New registers object under the logical name. The data of a Secret is secret in
// the state whatever its inputs are. The error says which of apiVersion, kind and
// metadata.name is missing.
func New(ctx *pulumi.Context, name string, object Object, opts ...pulumi.ResourceOption) (*Resource, error) {
	return register(ctx, name, "", object, opts)
}

// NewPatch registers some fields of an object that somebody else made: whatever
// else it has stays as it is, and when the resource is deleted the object stays and
// only gives up these fields. Errors are those of New.
func NewPatch(ctx *pulumi.Context, name string, object Object, opts ...pulumi.ResourceOption) (*Resource, error) {
	return register(ctx, name, "Patch", object, opts)
}

// register registers object; suffix makes its token that of another resource of
// the same kind.
func register(ctx *pulumi.Context, name, suffix string, object Object, opts []pulumi.ResourceOption) (*Resource, error) {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(Object)
	switch {
	case apiVersion == "":
		return nil, fmt.Errorf("object %s: no apiVersion", name)
	case kind == "":
		return nil, fmt.Errorf("object %s: no kind", name)
	case metadata["name"] == nil:
		return nil, fmt.Errorf("object %s: no metadata.name", name)
	}
	inputs := pulumi.Map{}
	for key, value := range managed(object, metadata) {
		inputs[key] = pulumi.Any(value)
	}
	if kind == "Secret" {
		opts = append(opts, pulumi.AdditionalSecretOutputs([]string{"data", "stringData"}))
	}
	r := &Resource{}
	if err := ctx.RegisterResource(Token(apiVersion, kind)+suffix, name, inputs, r, opts...); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return r, nil
}

// Manager owns the fields of every object. By default the provider makes up one
// for each resource, and an object whose registration was killed half way would
// refuse the next one's.
const Manager = "neuroscale"

// Managed is object as it is in the cluster: with the annotations of its manager.
func Managed(object Object) Object { return managed(object, object["metadata"].(Object)) }

// managed is object with the annotations that name its manager and let that one
// take back fields which somebody else has written; metadata is its.
func managed(object, metadata Object) Object {
	annotations := Object{"pulumi.com/patchFieldManager": Manager, "pulumi.com/patchForce": "true"}
	if given, ok := metadata["annotations"].(Object); ok {
		maps.Copy(annotations, given)
	}
	object, metadata = maps.Clone(object), maps.Clone(metadata)
	metadata["annotations"], object["metadata"] = annotations, metadata
	return object
}

// Set registers objects for one component and keeps the first error, so that a
// component reads as a list of what it is made of.
type Set struct {
	ctx  *pulumi.Context
	opts []pulumi.ResourceOption
	errs []error
}

// NewSet starts a set whose objects all get opts.
func NewSet(ctx *pulumi.Context, opts ...pulumi.ResourceOption) *Set {
	return &Set{ctx: ctx, opts: opts}
}

// Add registers object; see New. After an error it still returns a resource, for
// the code that follows to refer to; Err has the error.
func (s *Set) Add(name string, object Object, opts ...pulumi.ResourceOption) *Resource {
	return s.keep(New(s.ctx, name, object, slices.Concat(s.opts, opts)...))
}

// Patch registers fields of an object of somebody else; see NewPatch and Add.
func (s *Set) Patch(name string, object Object, opts ...pulumi.ResourceOption) *Resource {
	return s.keep(NewPatch(s.ctx, name, object, slices.Concat(s.opts, opts)...))
}

func (s *Set) keep(r *Resource, err error) *Resource {
	if err != nil {
		s.errs = append(s.errs, err)
		return &Resource{}
	}
	return r
}

// Err joins the errors of every Add.
func (s *Set) Err() error { return errors.Join(s.errs...) }
