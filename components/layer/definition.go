package layer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/forward"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Definition is a layer as a value: all that anybody has to know of it before it
// is delivered. Whoever needs the platform's layers reads a List of these.
type Definition struct {
	// Name of the layer, of its Application and of its folder in gitops/platform.
	Name string
	// Namespaces are the layer's own: no tenant may have one, and no policy judges
	// what is in them. Shared are others that its objects are in.
	Namespaces, Shared []string
	// ClusterKinds are the kinds outside namespaces that its tree contains.
	ClusterKinds []schema.GroupKind
	// Tree renders it: Rendered or Made.
	Tree func(context.Context, Source) (*render.Tree, error)
	// After are the names of the layers that have to be ready first.
	After []string
	// Probe are objects the API must admit or deny for the layer to be ready.
	Probe []Probe
	// Ignore are differences between Git and the cluster that are right.
	Ignore []IgnoredDifference
	// Forwards are its services worth a port-forward.
	Forwards []Forward
	// Holds are kinds whose objects, once deleted, are only gone when the layer's
	// controllers, in its first namespace, say so.
	Holds []kube.Hold
	// Availability is how it outlives a node, if that is asked for.
	Availability Availability
	// ByProgram is a layer that Pulumi applies object by object instead of taking
	// it to Git: the one that the others need for that.
	ByProgram bool
}

// Availability is what a layer needs to go on while one of its pods is away.
type Availability struct {
	// Deployments get a second pod each, and are emptied one pod at a time.
	Deployments []string
	// Patches and Objects have the pods of one agree on which of them acts.
	Patches []render.Patch
	Objects []map[string]any
}

// Source is what a tree is rendered from, beside the settings its Definition was
// made of.
type Source struct {
	Renderer Renderer
	// Exempt are the namespaces that no policy judges: the cluster's own and the
	// platform's.
	Exempt []string
	// Reserved are the names of all layers: no folder of a tenant may have one.
	Reserved []string
	// Schemas are those of all kinds, as files; see schema.Validator.
	Schemas func(context.Context) (map[string][]byte, error)
}

// Renderer renders a folder of gitops/platform with patches.
type Renderer interface {
	Layer(ctx context.Context, name string, patches ...render.Patch) (*render.Tree, error)
}

// Forward is a Service and the local port it is usually forwarded to.
type Forward = forward.Target

// Rendered is the Tree of a layer that is its folder in gitops/platform with
// patches.
func Rendered(name string, patches ...render.Patch) func(context.Context, Source) (*render.Tree, error) {
	return func(ctx context.Context, s Source) (*render.Tree, error) {
		return s.Renderer.Layer(ctx, name, patches...)
	}
}

// Made is the Tree of a layer whose objects are made by a component.
func Made(tree *render.Tree) func(context.Context, Source) (*render.Tree, error) {
	return func(context.Context, Source) (*render.Tree, error) { return tree, nil }
}

// Namespace is where objects without one go: the first of its own, or of those it
// shares.
func (d Definition) Namespace() string {
	if all := slices.Concat(d.Namespaces, d.Shared); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Available is the same list, whose layers go on while one of their pods is away, as far
// as their Availability says so.
func (l List) Available() List {
	out := slices.Clone(l)
	for i, d := range l {
		a := d.Availability
		if len(a.Deployments) == 0 {
			continue
		}
		out[i].Tree = func(ctx context.Context, s Source) (*render.Tree, error) {
			tree, err := d.Tree(ctx, s)
			if err != nil {
				return nil, err
			}
			return tree.Available(a.Deployments, a.Patches, a.Objects)
		}
	}
	return out
}

// Once is the same list, whose trees are rendered once, from the first Source asked for.
func (l List) Once() List {
	out := slices.Clone(l)
	for i, d := range l {
		var once sync.Once
		var tree *render.Tree
		var err error
		out[i].Tree = func(ctx context.Context, s Source) (*render.Tree, error) {
			once.Do(func() { tree, err = d.Tree(ctx, s) })
			return tree, err
		}
	}
	return out
}

func (d Definition) validate() error {
	var errs []error
	problem := func(format string, values ...any) {
		errs = append(errs, fmt.Errorf("layer %s: "+format, append([]any{d.Name}, values...)...))
	}
	if d.Name == "" {
		problem("Name is empty")
	}
	if d.Tree == nil {
		problem("Tree is missing")
	}
	if d.Namespace() == "" {
		problem("Namespaces and Shared are empty")
	}
	for i, c := range d.Probe {
		if err := c.validate(); err != nil {
			problem("Probe[%d]: %w", i, err)
		}
	}
	for i, f := range d.Forwards {
		if f.Name == "" || f.Namespace == "" || f.Service == "" || f.Port == 0 || f.LocalPort == 0 {
			problem("Forwards[%d] needs a Name, a Namespace, a Service, a Port and a LocalPort", i)
		}
	}
	return errors.Join(errs...)
}

// List of layers in their order.
type List []Definition

// Validate names every definition that cannot be delivered in the list's order.
func (l List) Validate() error {
	var errs []error
	known := map[string]bool{}
	ports := map[int]string{}
	for _, d := range l {
		errs = append(errs, d.validate())
		for _, earlier := range d.After {
			if !known[earlier] {
				errs = append(errs, fmt.Errorf("layer %s: After names %q, which is no layer before it", d.Name, earlier))
			}
		}
		if known[d.Name] {
			errs = append(errs, fmt.Errorf("layer %s: two layers have that name", d.Name))
		}
		known[d.Name] = true
		for _, f := range d.Forwards {
			if other, taken := ports[f.LocalPort]; taken {
				errs = append(errs, fmt.Errorf("layer %s: forward %s has the local port %d of %s", d.Name, f.Name, f.LocalPort, other))
			}
			ports[f.LocalPort] = f.Name
		}
	}
	return errors.Join(errs...)
}

// Get is the layer of that name.
func (l List) Get(name string) (Definition, bool) {
	i := slices.IndexFunc(l, func(d Definition) bool { return d.Name == name })
	if i < 0 {
		return Definition{}, false
	}
	return l[i], true
}

// Names of all layers, in their order.
func (l List) Names() []string {
	return collect(l, func(d Definition) []string { return []string{d.Name} })
}

// Namespaces that are a layer's own, sorted.
func (l List) Namespaces() []string {
	return sorted(collect(l, func(d Definition) []string { return d.Namespaces }))
}

// Shared namespaces, sorted.
func (l List) Shared() []string {
	return sorted(collect(l, func(d Definition) []string { return d.Shared }))
}

// ClusterKinds of all layers, sorted.
func (l List) ClusterKinds() []schema.GroupKind {
	all := collect(l, func(d Definition) []schema.GroupKind { return d.ClusterKinds })
	slices.SortFunc(all, func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// Forwards of all layers, in their order.
func (l List) Forwards() []Forward {
	return collect(l, func(d Definition) []Forward { return d.Forwards })
}

// FromGit are the layers that Argo CD takes from Git.
func (l List) FromGit() List {
	return slices.DeleteFunc(slices.Clone(l), func(d Definition) bool { return d.ByProgram })
}

func collect[T any](l List, of func(Definition) []T) []T {
	var all []T
	for _, d := range l {
		all = append(all, of(d)...)
	}
	return all
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
