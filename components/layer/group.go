package layer

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// GroupToken is the type of the Group component.
const GroupToken = "neuroscale:platform:Layers"

// GroupArgs of a Group.
type GroupArgs struct {
	// Layers in their order, at least one.
	Layers List
	// Delivery takes them to Git.
	Delivery *Delivery
}

func (a *GroupArgs) validate(name string) error {
	switch {
	case a == nil:
		return fmt.Errorf("%s: no Args", name)
	case len(a.Layers) == 0:
		return fmt.Errorf("%s: Args.Layers is empty", name)
	case a.Delivery == nil:
		return fmt.Errorf("%s: Args.Delivery is missing", name)
	}
	return nil
}

// Group is a part of the platform that is nothing but its layers.
type Group struct {
	pulumi.ResourceState
	Layers []*Layer
}

// NewGroup delivers layers that need nothing beside themselves.
func NewGroup(ctx *pulumi.Context, name string, args *GroupArgs, opts ...pulumi.ResourceOption) (*Group, error) {
	if err := args.validate(name); err != nil {
		return nil, err
	}
	g := &Group{}
	if err := ctx.RegisterComponentResource(GroupToken, name, g, opts...); err != nil {
		return nil, err
	}
	var errs []error
	for _, definition := range args.Layers {
		l, err := New(ctx, &Args{Definition: definition, Delivery: args.Delivery}, pulumi.Parent(g))
		errs = append(errs, err)
		g.Layers = append(g.Layers, l)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{})
}
