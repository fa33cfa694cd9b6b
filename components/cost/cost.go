// Package cost says what everything that runs costs, and who has it running:
// Prometheus measures and OpenCost prices.
package cost

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Token is the component's type.
const Token = "neuroscale:platform:Cost"

// Args of cost.
type Args struct {
	// Settings people may choose.
	Settings config.Cost
	// Layers as the function of that name makes them of Settings.
	Layers layer.List
	// Delivery takes them to Git.
	Delivery *layer.Delivery
	// ProbeImage has Python: it asks for a cost.
	ProbeImage string
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("cost: no Args")
	}
	var errs []error
	if (len(a.Layers) > 0) != a.Settings.Enabled {
		errs = append(errs, errors.New("cost: Args.Layers are not those of Args.Settings: one is enabled and the other is not"))
	}
	if a.Settings.Enabled && a.Settings.Interval <= 0 {
		errs = append(errs, fmt.Errorf("cost: Args.Settings.Interval is %s", a.Settings.Interval))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("cost: Args.Delivery is missing"))
	}
	if a.ProbeImage == "" {
		errs = append(errs, errors.New("cost: Args.ProbeImage is empty"))
	}
	return errors.Join(errs...)
}

// Cost measures and prices what runs.
type Cost struct{ pulumi.ResourceState }

// New delivers the layers and asks for what a pod of the platform's own costs, until
// there is an answer.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Cost, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	c := &Cost{}
	if err := ctx.RegisterComponentResource(Token, name, c, opts...); err != nil {
		return nil, err
	}
	var delivered []pulumi.Resource
	hashes := []string{}
	for _, definition := range args.Layers {
		l, err := layer.New(ctx, &layer.Args{Definition: definition, Delivery: args.Delivery}, pulumi.Parent(c))
		if err != nil {
			return nil, err
		}
		delivered, hashes = append(delivered, l.Ready...), append(hashes, l.Hash)
	}
	if args.Settings.Enabled {
		set := manifest.NewSet(ctx, pulumi.Parent(c))
		addProbe(set, args, hashes, delivered)
		if err := set.Err(); err != nil {
			return nil, fmt.Errorf("cost: %w", err)
		}
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}
