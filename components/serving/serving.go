// Package serving provides model serving: Knative, Kourier and KServe.
package serving

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Token is the component's type.
const Token = "neuroscale:platform:Serving"

// Args of serving.
type Args struct {
	// Settings people may choose.
	Settings config.Serving
	// Address is the host name or IP address of the gateway's node port.
	Address string
	// Layers as the function of that name makes them of Settings.
	Layers layer.List
	// ModelServer is the image of the first endpoints.
	ModelServer string
	// Gateway is its certificate; HTTP has it show none.
	Gateway certificates.Certificate
	HTTP    bool
	// Webhook is the certificate of KServe's admission webhooks, for WebhookHost, and
	// Authority that signed it.
	Webhook   certificates.Certificate
	Authority pulumi.StringOutput
	// Delivery takes them to Git.
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
	if a.Settings.Gateway.Type == "" {
		errs = append(errs, errors.New("serving: Args.Settings.Gateway.Type is empty"))
	}
	if a.Address == "" {
		errs = append(errs, errors.New("serving: Args.Address is empty"))
	}
	if len(a.Layers) == 0 {
		errs = append(errs, errors.New("serving: Args.Layers is empty"))
	}
	if a.ModelServer == "" {
		errs = append(errs, errors.New("serving: Args.ModelServer is empty"))
	}
	if _, there := a.Layers.Get(DoorkeeperLayer); len(a.Layers) > 0 && there != (a.Settings.Auth == config.AuthKeys) {
		errs = append(errs, errors.New("serving: Args.Layers are not those of Args.Settings: one asks for keys and the other does not"))
	}
	if !a.Gateway.There() || !a.Webhook.There() || a.Authority.OutputState == nil {
		errs = append(errs, errors.New("serving: Args.Gateway, Args.Webhook or Args.Authority is missing"))
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
	// GatewayInternalURL is where they answer pods.
	GatewayInternalURL string
	// PlatformKey opens every endpoint; empty if the gateway asks for none.
	PlatformKey pulumi.StringOutput
}

// New delivers the layers, with the certificate that the server of KServe's
// webhooks shows and their configurations trust.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Serving, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	s := &Serving{GatewayURL: args.Settings.Gateway.URL, GatewayInternalURL: scheme(args.HTTP) + "://" + GatewayHost}
	if s.GatewayURL == "" {
		s.GatewayURL = fmt.Sprintf("%s://%s", scheme(args.HTTP), net.JoinHostPort(args.Address, strconv.Itoa(args.Settings.Gateway.NodePort)))
	}
	if err := ctx.RegisterComponentResource(Token, name, s, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(s)
	if err := pullModelServer(ctx, name, args, parent); err != nil {
		return nil, err
	}
	webhook, err := newSecret(ctx, name+"-webhook", name+"-kserve", kserveNamespace, webhookSecret, args.Webhook, parent)
	if err != nil {
		return nil, err
	}
	gateway, err := newSecret(ctx, name+"-gateway", name+"-gateway", GatewayNamespace, gatewaySecret, args.Gateway, parent)
	if err != nil {
		return nil, err
	}

	s.PlatformKey = pulumi.ToSecret(pulumi.String("").ToStringOutput()).(pulumi.StringOutput)
	var keysReady []pulumi.Resource
	if args.Settings.Auth == config.AuthKeys {
		if s.PlatformKey, keysReady, err = newKeys(ctx, name, args.Settings, parent); err != nil {
			return nil, err
		}
	}

	for _, definition := range args.Layers {
		la := &layer.Args{Definition: definition, Delivery: args.Delivery}
		switch definition.Name {
		case DoorkeeperLayer:
			la.DependsOn = keysReady
		case KServeLayer:
			la.DependsOn = []pulumi.Resource{webhook}
		case KnativeLayer:
			la.DependsOn = []pulumi.Resource{gateway}
			if !args.HTTP {
				la.Patches = func([]map[string]any) []layer.Patch { return []layer.Patch{renewalPatch(args.Gateway.Chain)} }
			}
		case RuntimesLayer:
			la.Patches = func(objects []map[string]any) []layer.Patch { return trustPatches(objects, args.Authority) }
		}
		if _, err := layer.New(ctx, la, parent); err != nil {
			return nil, err
		}
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{"gatewayUrl": pulumi.String(s.GatewayURL)})
}
