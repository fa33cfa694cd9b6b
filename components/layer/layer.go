// Package layer delivers one layer of the platform: a rendered tree goes into a
// ConfigMap, a Job pushes it to Git under a tag that is its hash, an Argo CD
// Application syncs that commit, a probe asks whether the result works.
package layer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// Token is the component's type.
const Token = "neuroscale:platform:Layer"

// maxArchive is Kubernetes' limit for the content of a ConfigMap, in bytes.
const maxArchive = 1 << 20

// Args of one layer.
type Args struct {
	Definition
	// Delivery takes it to Git.
	Delivery *Delivery
	// DependsOn are other resources the Application needs.
	DependsOn []pulumi.Resource
	// Patches, if not nil, are what Argo CD applies to the tree's objects: values
	// only known when resources are, such as a certificate. The tree needs a
	// kustomization.yaml for them.
	Patches func(objects []map[string]any) []Patch
}

// Patch changes an object of the layer on its way from Git to the cluster.
type Patch = argoproj.Patch

// IgnoredDifference leaves fields of the layer's objects to who writes them.
type IgnoredDifference = argoproj.IgnoredDifference

func (a *Args) validate() error {
	if a == nil {
		return errors.New("layer: no Args")
	}
	if a.Delivery == nil {
		return fmt.Errorf("layer %s: Args.Delivery is missing", a.Name)
	}
	return a.Definition.validate()
}

// Layer is a delivered layer.
type Layer struct {
	pulumi.ResourceState
	Name, Hash, Tag, Version string
	// Commit that Tag names for people. Argo CD is asked for it and not for the tag:
	// whoever moves that moves nothing in the cluster.
	Commit string
	// Ready is done when the cluster has what the tree says and the probe passes.
	Ready []pulumi.Resource
}

// New renders and delivers a layer. Its push waits for the repository only, its
// Application for the layers in After, which have to be delivered before.
func New(ctx *pulumi.Context, args *Args, opts ...pulumi.ResourceOption) (*Layer, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	d := args.Delivery
	earlier, err := d.Ready(args.After...)
	if err != nil {
		return nil, fmt.Errorf("layer %s: After: %w", args.Name, err)
	}
	tree, err := args.Tree(ctx.Context(), d.args.Source)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", args.Name, err)
	}
	kinds := kindsOf(args.Name, tree.Objects())
	known, err := d.args.Kinds.ready(args.Name, len(kinds))
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", args.Name, err)
	}
	archive, err := tree.Archive()
	if err != nil {
		return nil, fmt.Errorf("layer %s: archive: %w", args.Name, err)
	}
	if len(archive) > maxArchive {
		return nil, fmt.Errorf("layer %s: its archive has %d bytes, a ConfigMap holds %d: split the layer", args.Name, len(archive), maxArchive)
	}
	l := &Layer{
		Name: args.Name, Hash: tree.Hash(), Version: tree.Version(),
		Tag: fmt.Sprintf("layer/%s/%s", args.Name, tree.Hash()),
	}
	l.Commit = commitOf(tree, l.message())
	var patches []Patch
	if args.Patches != nil {
		patches = args.Patches(tree.Objects())
	}
	for i, p := range patches {
		if p.Kind == "" || p.Name == "" || p.Operations == nil {
			return nil, fmt.Errorf("layer %s: Args.Patches: number %d needs a Kind, a Name and Operations", args.Name, i)
		}
	}
	if len(patches) > 0 && !tree.IsKustomization() {
		return nil, fmt.Errorf("layer %s: Args.Patches: Argo CD patches only a kustomization, write so in its layer.yaml", args.Name)
	}
	if err := ctx.RegisterComponentResource(Token, args.Name, l, opts...); err != nil {
		return nil, err
	}
	set := manifest.NewSet(ctx, pulumi.Parent(l))
	withNamespace := pulumi.DeletedWith(d.Namespace)

	content := set.Add(args.Name, archiveConfigMap(l.objectName(), archive), withNamespace,
		pulumi.DependsOn([]pulumi.Resource{d.Namespace}))
	push := set.Add(args.Name+"-push", layerPush(l, d.args), withNamespace, manifest.JobTimeout(),
		pulumi.DependsOn(append([]pulumi.Resource{content}, d.pushReady...)))

	if len(kinds) > 0 {
		known = append(slices.Clone(known), addDefinitions(set, l, args, kinds, known))
	}
	needs := slices.Concat([]pulumi.Resource{push}, known, d.args.ControllerReady, earlier, args.DependsOn)
	application := set.Add(args.Name+"-application", applicationObject(l, args, patches), pulumi.DependsOn(needs),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "10m", Update: "10m", Delete: "3m"}))
	l.Ready = []pulumi.Resource{application}
	if len(args.Probe) > 0 {
		l.Ready = append(l.Ready, addProbe(set, l, args, application))
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("layer %s: %w", args.Name, err)
	}
	d.delivered = append(d.delivered, l)
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"hash":    pulumi.String(l.Hash),
		"tag":     pulumi.String(l.Tag),
		"commit":  pulumi.String(l.Commit),
		"version": pulumi.String(l.Version),
	})
}
