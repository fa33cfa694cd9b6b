// Package reviews checks pull requests on the forge before they are merged.
package reviews

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Token is the component's type.
const Token = "neuroscale:platform:Reviews"

var (
	// HookURL is where the forge's events go.
	HookURL = fmt.Sprintf("https://%s:%d/hook", Host, port)
	// FollowerURL is where events go that are about what was merged.
	FollowerURL = fmt.Sprintf("https://%s:%d/hook", FollowerHost, port)
	// PassedURL says whether a tree was passed.
	PassedURL = fmt.Sprintf("https://%s:%d/passed", Host, port)
)

// SecretName is of what it signs in with and what events are signed with, in the fields
// that the guard reads.
const SecretName = "guard"

// Names of what the guard shows, and whom it believes.
const (
	certificateName         = "guard-certificate"
	followerCertificateName = "follower-certificate"
	authorityName           = "guard-authority"
	gatewayName             = "follower-gateway-url"
)

// Args of the reviews.
type Args struct {
	// Layers as the function of that name makes them.
	Layers layer.List
	// Delivery takes them to Git.
	Delivery *layer.Delivery
	// Account of the forge that sets the status, Secret what events are signed with.
	Account forge.Account
	Secret  pulumi.StringOutput
	// Certificate it shows for Host, FollowerCertificate for FollowerHost, and Authority
	// that signed them and the forge's.
	Certificate, FollowerCertificate certificates.Certificate
	Authority                        pulumi.StringOutput
	// ApplicationSets make Applications of what is merged.
	ApplicationSets []string
	// GatewayURL is where people ask endpoints.
	GatewayURL string
	// Reaches is where else what people propose is asked for.
	Reaches []config.Egress
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("reviews: no Args")
	}
	var errs []error
	if len(a.Layers) == 0 {
		errs = append(errs, errors.New("reviews: Args.Layers is empty"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("reviews: Args.Delivery is missing"))
	}
	if a.Account.Username == "" || a.Account.Password.OutputState == nil {
		errs = append(errs, errors.New("reviews: Args.Account is missing"))
	}
	if a.Secret.OutputState == nil {
		errs = append(errs, errors.New("reviews: Args.Secret is missing"))
	}
	if a.Authority.OutputState == nil || !a.Certificate.There() || !a.FollowerCertificate.There() {
		errs = append(errs, errors.New("reviews: Args.Certificate or Args.Authority is missing"))
	}
	if len(a.ApplicationSets) == 0 {
		errs = append(errs, errors.New("reviews: Args.ApplicationSets is empty"))
	}
	if a.GatewayURL == "" {
		errs = append(errs, errors.New("reviews: Args.GatewayURL is empty"))
	}
	return errors.Join(errs...)
}

// Reviews say of every pull request whether it may be merged.
type Reviews struct{ pulumi.ResourceState }

// New delivers the layers, with the secrets they need.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Reviews, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	r := &Reviews{}
	if err := ctx.RegisterComponentResource(Token, name, r, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(r)
	set := manifest.NewSet(ctx, parent)
	object := manifest.Namespace(Namespace)
	object["metadata"].(manifest.Object)["labels"] = manifest.Object{"pod-security.kubernetes.io/enforce": "restricted"}
	ns := set.Add(name+"-namespace", object)
	var before []pulumi.Resource
	for _, each := range []struct {
		name   string
		object manifest.Object
	}{
		{"-secrets", manifest.Secret(Namespace, SecretName, nil, map[string]pulumi.StringInput{
			"password": args.Account.Password, "hook": args.Secret,
		})},
		{"-certificate", args.Certificate.Secret(Namespace, certificateName)},
		{"-follower-certificate", args.FollowerCertificate.Secret(Namespace, followerCertificateName)},
		{"-gateway", manifest.Settings(Namespace, gatewayName, map[string]string{"url": args.GatewayURL})},
		{"-authority", certificates.AuthorityConfigMap(Namespace, authorityName, args.Authority)},
	} {
		before = append(before, set.Add(name+each.name, each.object, pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns})))
	}
	if len(args.Reaches) > 0 {
		before = append(before, set.Add(name+"-reaches", manifest.Reaches(Namespace, "neuroscale-guard-reaches-github", map[string]string{"app": Layer}, args.Reaches),
			pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns})))
	}
	var names []any
	for _, applicationSet := range args.ApplicationSets {
		names = append(names, applicationSet)
	}
	policy, rights := bound(), access(names)
	bounded := []pulumi.Resource{set.Add(name+"-bound", policy[0])}
	bounded = append(bounded, set.Add(name+"-bound-binding", policy[1], pulumi.DependsOn(bounded)))
	// Nobody has the rights before they are bounded.
	role := set.Add(name+"-role", rights[0], pulumi.DependsOn(bounded))
	before = append(before, set.Add(name+"-role-binding", rights[1], pulumi.DependsOn([]pulumi.Resource{role})))
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("reviews: %w", err)
	}
	for _, definition := range args.Layers {
		if _, err := layer.New(ctx, &layer.Args{
			Definition: definition, Delivery: args.Delivery, DependsOn: before,
		}, parent); err != nil {
			return nil, err
		}
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}
