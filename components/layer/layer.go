// Package layer delivers one layer of the platform: a rendered tree goes into a
// ConfigMap, a Job pushes it to Git under a tag that is its hash, an Argo CD
// Application syncs that tag, a probe asks whether the result works.
package layer

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Token is the component's type.
const Token = "neuroscale:platform:Layer"

// maxArchive is Kubernetes' limit for the content of a ConfigMap, in bytes.
const maxArchive = 1 << 20

// Renderer renders a layer with patches.
type Renderer interface {
	Layer(ctx context.Context, name string, patches ...render.Patch) (*render.Tree, error)
}

// Tree is a rendered layer.
type Tree interface {
	// Hash names its content.
	Hash() string
	// Archive is the same bytes for the same Hash: a gzipped tar.
	Archive() ([]byte, error)
	// Version says which upstreams it was made of.
	Version() string
	// Objects it consists of.
	Objects() []map[string]any
}

// Args of one layer.
type Args struct {
	// Name of the layer and of its Application.
	Name string
	// Tree to deliver.
	Tree Tree
	// Delivery takes it to Git.
	Delivery *Delivery
	// Namespace is where objects without one go.
	Namespace string
	// After are the layers that have to be ready first.
	After []*Layer
	// DependsOn are other resources the Application needs.
	DependsOn []pulumi.Resource
	// Patches are applied by Argo CD: values only known when resources are, such
	// as a certificate. The tree needs a kustomization.yaml for them.
	Patches []Patch
	// Ignore are differences between Git and the cluster that are right.
	Ignore []IgnoredDifference
	// Probe are objects the API must admit or deny for the layer to be ready.
	Probe []Probe
}

// Patch changes an object of the layer on its way from Git to the cluster.
type Patch = argoproj.Patch

// IgnoredDifference leaves fields of the layer's objects to who writes them.
type IgnoredDifference = argoproj.IgnoredDifference

func (a *Args) validate() error {
	if a == nil {
		return errors.New("layer: no Args")
	}
	var errs []error
	problem := func(format string, values ...any) {
		errs = append(errs, fmt.Errorf("layer %s: "+format, append([]any{a.Name}, values...)...))
	}
	if a.Name == "" {
		problem("Args.Name is empty")
	}
	if a.Tree == nil || a.Tree.Hash() == "" {
		problem("Args.Tree is empty")
	}
	if a.Delivery == nil {
		problem("Args.Delivery is missing")
	}
	if a.Namespace == "" {
		problem("Args.Namespace is empty")
	}
	for i, p := range a.Patches {
		if p.Kind == "" || p.Name == "" || p.Operations == nil {
			problem("Args.Patches[%d] needs a Kind, a Name and Operations", i)
		}
	}
	for i, c := range a.Probe {
		if err := c.validate(); err != nil {
			problem("Args.Probe[%d]: %w", i, err)
		}
	}
	return errors.Join(errs...)
}

// Layer is a delivered layer.
type Layer struct {
	pulumi.ResourceState
	Name, Hash, Tag, Version string
	// Ready is done when the cluster has what the tree says and the probe passes.
	Ready []pulumi.Resource
}

// New delivers a layer. Its push waits for the repository only, its Application
// for everything in After.
func New(ctx *pulumi.Context, args *Args, opts ...pulumi.ResourceOption) (*Layer, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	hash := args.Tree.Hash()
	l := &Layer{
		Name: args.Name, Hash: hash, Version: args.Tree.Version(),
		Tag: fmt.Sprintf("layer/%s/%s", args.Name, hash),
	}
	archive, err := args.Tree.Archive()
	if err != nil {
		return nil, fmt.Errorf("layer %s: archive: %w", args.Name, err)
	}
	if len(archive) > maxArchive {
		return nil, fmt.Errorf("layer %s: its archive has %d bytes, a ConfigMap holds %d: split the layer", args.Name, len(archive), maxArchive)
	}
	if err := ctx.RegisterComponentResource(Token, args.Name, l, opts...); err != nil {
		return nil, err
	}
	d := args.Delivery
	set := manifest.NewSet(ctx, pulumi.Parent(l))
	withNamespace := pulumi.DeletedWith(d.Namespace)

	tree := set.Add(args.Name, archiveConfigMap(l.objectName(), archive), withNamespace,
		pulumi.DependsOn([]pulumi.Resource{d.Namespace}))
	push := set.Add(args.Name+"-push", layerPush(l, d.args), withNamespace, manifest.JobTimeout(),
		pulumi.DependsOn(append([]pulumi.Resource{tree}, d.pushReady...)))

	needs := append([]pulumi.Resource{push}, addDefinitions(set, l, args.Tree)...)
	needs = append(needs, d.args.ControllerReady...)
	for _, earlier := range args.After {
		needs = append(needs, earlier.Ready...)
	}
	application := set.Add(args.Name+"-application", applicationObject(l, args),
		pulumi.DependsOn(append(needs, args.DependsOn...)),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "10m", Update: "10m", Delete: "3m"}))
	l.Ready = []pulumi.Resource{application}
	if len(args.Probe) > 0 {
		l.Ready = append(l.Ready, addProbe(set, l, args, application))
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("layer %s: %w", args.Name, err)
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"hash":    pulumi.String(l.Hash),
		"tag":     pulumi.String(l.Tag),
		"version": pulumi.String(l.Version),
	})
}
