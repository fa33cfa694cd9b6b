// Package serving provides model serving: Knative, Kourier and KServe.
package serving

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Token is the component's type.
const Token = "neuroscale:platform:Serving"

// The layers, in the order in which they have to be ready.
const (
	KnativeLayer  = "knative"
	KServeLayer   = "kserve"
	RuntimesLayer = "kserve-runtimes"
)

const (
	knativeNamespace = "knative-serving"
	gatewayNamespace = "kourier-system"
	kserveNamespace  = "kserve"
)

// Gateway is the Service through which predictions come in.
const (
	GatewayNamespace = gatewayNamespace
	GatewayService   = "kourier"
	GatewayPort      = 80
)

// Args of serving.
type Args struct {
	// Settings people may choose.
	Settings config.Serving
	// Address is the host name or IP address of the gateway's node port.
	Address string
	// Renderer of the three layers, Delivery to Git.
	Renderer layer.Renderer
	Delivery *layer.Delivery
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("serving: no Args")
	}
	var errs []error
	if a.Settings.Domain == "" {
		errs = append(errs, errors.New("serving: Args.Settings.Domain is empty"))
	}
	if a.Settings.Gateway.NodePort == 0 {
		errs = append(errs, errors.New("serving: Args.Settings.Gateway.NodePort is 0"))
	}
	if a.Address == "" {
		errs = append(errs, errors.New("serving: Args.Address is empty"))
	}
	if a.Renderer == nil {
		errs = append(errs, errors.New("serving: Args.Renderer is missing"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("serving: Args.Delivery is missing"))
	}
	return errors.Join(errs...)
}

// Serving turns InferenceServices into HTTP endpoints.
type Serving struct {
	pulumi.ResourceState
	// GatewayURL is where all endpoints answer, told apart by their host name.
	GatewayURL string
	// Domain is the suffix of those host names.
	Domain string
	// Layers in their order.
	Layers []*layer.Layer
	// Ready is done when an InferenceService is admitted by KServe.
	Ready []pulumi.Resource
}

// New delivers the three layers. KServe's admission webhooks come last, when
// their server runs, and on the way out go first.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Serving, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	trees := map[string]*render.Tree{}
	for _, each := range []struct {
		layer   string
		patches []render.Patch
	}{
		{KnativeLayer, knativePatches(args.Settings)},
		{KServeLayer, kservePatches(args.Settings)},
		{RuntimesLayer, nil},
	} {
		tree, err := args.Renderer.Layer(ctx.Context(), each.layer, each.patches...)
		if err != nil {
			return nil, fmt.Errorf("serving: render layer %s: %w", each.layer, err)
		}
		trees[each.layer] = tree
	}

	s := &Serving{
		GatewayURL: fmt.Sprintf("http://%s:%d", args.Address, args.Settings.Gateway.NodePort),
		Domain:     args.Settings.Domain,
	}
	if err := ctx.RegisterComponentResource(Token, name, s, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(s)
	cert, err := newCertificate(ctx, name+"-webhook", parent)
	if err != nil {
		return nil, err
	}
	ns, err := manifest.New(ctx, name+"-kserve", manifest.Namespace(kserveNamespace), parent)
	if err != nil {
		return nil, err
	}
	secret, err := manifest.New(ctx, name+"-webhook", cert.secret(), parent, pulumi.DeletedWith(ns),
		pulumi.DependsOn([]pulumi.Resource{ns}))
	if err != nil {
		return nil, err
	}

	knative, err := layer.New(ctx, &layer.Args{
		Name: KnativeLayer, Tree: trees[KnativeLayer], Delivery: args.Delivery,
		Namespace: knativeNamespace, Ignore: knativeDifferences(), Probe: knativeProbes(),
	}, parent)
	if err != nil {
		return nil, err
	}
	kserve, err := layer.New(ctx, &layer.Args{
		Name: KServeLayer, Tree: trees[KServeLayer], Delivery: args.Delivery,
		Namespace: kserveNamespace, After: []*layer.Layer{knative},
		DependsOn: []pulumi.Resource{secret},
	}, parent)
	if err != nil {
		return nil, err
	}
	runtimes, err := layer.New(ctx, &layer.Args{
		Name: RuntimesLayer, Tree: trees[RuntimesLayer], Delivery: args.Delivery,
		Namespace: kserveNamespace, After: []*layer.Layer{kserve},
		Patches: trustPatches(trees[RuntimesLayer].Objects(), cert.authority), Probe: kserveProbes(),
	}, parent)
	if err != nil {
		return nil, err
	}
	s.Layers = []*layer.Layer{knative, kserve, runtimes}
	s.Ready = runtimes.Ready
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{
		"gatewayUrl": pulumi.String(s.GatewayURL),
		"domain":     pulumi.String(s.Domain),
	})
}
