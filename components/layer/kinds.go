package layer

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// KindsToken is the type of the Kinds component.
const KindsToken = "neuroscale:platform:Kinds"

// KindsArgs of Kinds.
type KindsArgs struct {
	// Layers whose trees bring kinds, and what these are rendered from.
	Layers List
	Source Source
	// Parents are the types of the components that had a layer's definitions before
	// there were Kinds, by the layer's name: a stack of then keeps them.
	Parents map[string]string
}

func (a *KindsArgs) validate() error {
	if a == nil {
		return errors.New("kinds: no Args")
	}
	if a.Source.Renderer == nil {
		return errors.New("kinds: Args.Source.Renderer is missing")
	}
	return nil
}

// Kinds are the CustomResourceDefinitions of all layers.
type Kinds struct {
	pulumi.ResourceState
	of map[string][]pulumi.Resource
}

// NewKinds registers the layers' CustomResourceDefinitions, because Argo CD never
// deletes one together with its Application and a destroyed platform would leave them
// all behind. What is registered is an outline that accepts anything: the state would
// be twice as large. Before the layer's Application comes, a Job puts the whole
// definition in its place in Argo CD's name, and later changes are Argo CD's alone. The
// Application is deleted first, so controllers see their objects go.
//
// They come all at once: Pulumi's provider reads the schemas of all kinds anew after each
// one that was made.
func NewKinds(ctx *pulumi.Context, name string, args *KindsArgs, opts ...pulumi.ResourceOption) (*Kinds, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	k := &Kinds{of: map[string][]pulumi.Resource{}}
	if err := ctx.RegisterComponentResource(KindsToken, name, k, opts...); err != nil {
		return nil, err
	}
	found, err := args.Layers.kinds(ctx.Context(), args.Source)
	if err != nil {
		return nil, fmt.Errorf("kinds: %w", err)
	}
	set := manifest.NewSet(ctx, pulumi.Parent(k), pulumi.IgnoreChanges([]string{"spec"}))
	for _, d := range found {
		k.of[d.layer] = append(k.of[d.layer], set.Add(d.layer+"-"+d.name, d.outline(), args.formerly(ctx, d.layer)))
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("kinds: %w", err)
	}
	return k, ctx.RegisterResourceOutputs(k, pulumi.Map{})
}

// formerly is who had a layer's definitions.
func (a *KindsArgs) formerly(ctx *pulumi.Context, layer string) pulumi.ResourceOption {
	parent, ok := a.Parents[layer]
	if !ok {
		return pulumi.Aliases(nil)
	}
	urn := fmt.Sprintf("urn:pulumi:%s::%s::%s$%s::%s", ctx.Stack(), ctx.Project(), parent, Token, layer)
	return pulumi.Aliases([]pulumi.Alias{{ParentURN: pulumi.URN(urn)}})
}

// ready is done when the cluster knows the kinds of a layer, of which it has n.
func (k *Kinds) ready(layer string, n int) ([]pulumi.Resource, error) {
	var of []pulumi.Resource
	if k != nil {
		of = k.of[layer]
	}
	if len(of) != n {
		return nil, fmt.Errorf("its tree has %d CustomResourceDefinitions and Kinds has %d", n, len(of))
	}
	return of, nil
}
