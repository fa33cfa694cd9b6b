// Package portal provides the pages on which people ask for endpoints and look at
// them.
package portal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
)

// Token is the component's type.
const Token = "neuroscale:platform:Portal"

// ClientSecret is the Secret of what the forge knows it by, which a Job of the forge's
// fills, or the program where that is GitHub.
const ClientSecret = "forge-client"

// SiteSecret is the Secret with what the portal has in its environment. VerifyToken in it
// opens the catalog to whoever looks whether it has everything, and nothing else.
const (
	SiteSecret  = "portal-site"
	VerifyToken = "VERIFY_TOKEN"
)

// Names of its other Secrets.
const (
	certificateSecret = "portal-certificate"
	authority         = "portal-authority"
)

// secretLength in letters and digits is more than 160 bits.
const secretLength = 40

// Args of the portal.
type Args struct {
	// Settings people may choose.
	Settings config.Portal
	// Address is the host name or IP address of the portal's node port.
	Address string
	// Forge that people sign in with, but for GitHub, if that is not nil.
	Forge  *forge.Forge
	GitHub *GitHub
	// GatewayURL is where all endpoints answer people, GatewayInternalURL where they answer
	// pods, and PlatformKey what opens them; empty if the gateway asks for none.
	GatewayURL, GatewayInternalURL string
	PlatformKey                    pulumi.StringOutput
	// ProjectsReady is done when Argo CD's namespace is there.
	ProjectsReady []pulumi.Resource
	// Certificate it shows for Hosts, and Authority of the forge's. HTTP has it show
	// none.
	Certificate certificates.Certificate
	Authority   pulumi.StringOutput
	HTTP        bool
	// Image of the portal: what looks for its database is in it, too.
	Image string
	// Layers as the function of that name makes them.
	Layers layer.List
	// Delivery takes them to Git.
	Delivery *layer.Delivery
}

// Hosts are the names and addresses at which it is asked at a node's address.
func Hosts(address string) []string {
	return []string{Host, address, "localhost", "127.0.0.1", "::1"}
}

func scheme(plain bool) string {
	if plain {
		return "http"
	}
	return "https"
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("portal: no Args")
	}
	var errs []error
	for _, field := range []struct{ name, value string }{{"Address", a.Address}, {"GatewayURL", a.GatewayURL}, {"GatewayInternalURL", a.GatewayInternalURL}, {"Image", a.Image}} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("portal: Args.%s is empty", field.name))
		}
	}
	if a.Settings.NodePort == 0 {
		errs = append(errs, errors.New("portal: Args.Settings.NodePort is 0"))
	}
	if a.PlatformKey.OutputState == nil {
		errs = append(errs, errors.New("portal: Args.PlatformKey is missing"))
	}
	if a.Forge == nil {
		errs = append(errs, errors.New("portal: Args.Forge is missing"))
	}
	if a.GitHub != nil {
		errs = append(errs, a.GitHub.validate())
	}
	if len(a.Layers) > 0 != a.Settings.Enabled {
		errs = append(errs, errors.New("portal: Args.Layers are not those of Args.Settings: there is a portal in one only"))
	}
	if a.Settings.Enabled && (a.Authority.OutputState == nil || !a.Certificate.There()) {
		errs = append(errs, errors.New("portal: Args.Certificate or Args.Authority is missing"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("portal: Args.Delivery is missing"))
	}
	return errors.Join(errs...)
}

// Portal is where people ask for endpoints.
type Portal struct {
	pulumi.ResourceState
	// URL at which people reach it; empty if there is none.
	URL string
}

// New brings up the portal, if there is to be one, and makes it known to the forge.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Portal, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	p := &Portal{}
	if err := ctx.RegisterComponentResource(Token, name, p, opts...); err != nil {
		return nil, err
	}
	if !args.Settings.Enabled {
		return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"url": pulumi.String("")})
	}
	p.URL = args.Settings.URL
	if p.URL == "" {
		p.URL = scheme(args.HTTP) + "://" + net.JoinHostPort(args.Address, strconv.Itoa(args.Settings.NodePort))
	}
	parent := pulumi.Parent(p)
	object := manifest.Namespace(Namespace)
	object["metadata"].(manifest.Object)["labels"] = manifest.Object{"pod-security.kubernetes.io/enforce": "restricted"}
	ns, err := manifest.New(ctx, name, object, parent)
	if err != nil {
		return nil, err
	}
	site, hash, err := newSite(ctx, name, p.URL, args, ns, parent)
	if err != nil {
		return nil, err
	}
	inNamespace := pulumi.DeletedWith(ns)
	certificate, err := manifest.New(ctx, name+"-certificate", args.Certificate.Secret(Namespace, certificateSecret), parent, inNamespace)
	if err != nil {
		return nil, err
	}
	trusted, err := manifest.New(ctx, name+"-authority", certificates.AuthorityConfigMap(Namespace, authority, args.Authority), parent, inNamespace)
	if err != nil {
		return nil, err
	}
	client, err := newClient(ctx, name, p.URL, args, ns, parent)
	if err != nil {
		return nil, err
	}
	reader := manifest.NewSet(ctx, parent, pulumi.DependsOn(args.ProjectsReady))
	for _, object := range applicationReader() {
		reader.Add(name+"-applications", object)
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	needs := append([]pulumi.Resource{ns, site, certificate, trusted}, client...)
	if args.Settings.Database.Postgres() {
		checked, err := checkDatabase(ctx, name, args, hash, []pulumi.Resource{ns, site, trusted}, parent, inNamespace)
		if err != nil {
			return nil, err
		}
		needs = append(needs, checked)
	}
	for _, definition := range args.Layers {
		_, err := layer.New(ctx, &layer.Args{
			Definition: definition, Delivery: args.Delivery,
			DependsOn: needs,
			Patches:   func([]map[string]any) []layer.Patch { return []layer.Patch{restartPatch(hash)} },
		}, parent)
		if err != nil {
			return nil, err
		}
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"url": pulumi.String(p.URL)})
}

// applicationReader lets the portal say what Argo CD makes of an endpoint's folder.
func applicationReader() []manifest.Object {
	meta := func() manifest.Object {
		return manifest.Object{"name": "neuroscale-portal", "namespace": argocd.Namespace}
	}
	return []manifest.Object{
		{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(),
			"rules": []any{manifest.Object{
				"apiGroups": []any{"argoproj.io"}, "resources": []any{"applications"}, "verbs": []any{"get"},
			}},
		},
		{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta(),
			"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "neuroscale-portal"},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": Account, "namespace": Namespace}},
		},
	}
}

// newSite makes the Secret of what the portal has in its environment, and a hash of it
// that tells nothing.
func newSite(ctx *pulumi.Context, name, url string, args *Args, ns pulumi.Resource, parent pulumi.ResourceOption) (*manifest.Resource, pulumi.StringOutput, error) {
	var none pulumi.StringOutput
	forgeURL, forgeInternalURL := args.Forge.URL, args.Forge.InternalURL
	if args.GitHub != nil {
		forgeURL, forgeInternalURL = github.Pages, github.API
	}
	values := map[string]pulumi.StringInput{
		"PORTAL_URL": pulumi.String(url), "GATEWAY_URL": pulumi.String(args.GatewayURL), "GATEWAY_INTERNAL_URL": pulumi.String(args.GatewayInternalURL),
		"FORGE_URL": pulumi.String(forgeURL), "FORGE_INTERNAL_URL": pulumi.String(forgeInternalURL),
	}
	// It reads the certificates when it starts, as it does these.
	parts := []any{url, args.GatewayURL, args.GatewayInternalURL, forgeURL, forgeInternalURL, args.PlatformKey, args.Certificate.Chain, args.Authority}
	if args.GitHub != nil {
		parts = append(parts, args.GitHub.ClientID, args.GitHub.ClientSecret)
	}
	// The first signs what a browser keeps.
	for _, made := range []struct{ name, key string }{{"-session", "SESSION_SECRET"}, {"-verify", VerifyToken}} {
		password, err := random.NewRandomPassword(ctx, name+made.name, &random.RandomPasswordArgs{
			Length: pulumi.Int(secretLength), Special: pulumi.Bool(false),
		}, parent)
		if err != nil {
			return nil, none, fmt.Errorf("portal: %w", err)
		}
		values[made.key] = password.Result
		parts = append(parts, password.Result)
	}
	values["PLATFORM_KEY"] = args.PlatformKey
	if args.Settings.Database.Postgres() {
		password, err := databasePassword(ctx, name, args.Settings.Database, parent)
		if err != nil {
			return nil, none, err
		}
		values[databasePasswordKey] = password
		parts = append(parts, password)
	}
	hash := pulumi.Unsecret(pulumi.All(parts...).ApplyT(func(values []any) string {
		var texts []string
		for _, value := range values {
			texts = append(texts, value.(string))
		}
		return manifest.Hash(texts...)
	})).(pulumi.StringOutput)
	secret, err := manifest.New(ctx, name+"-site", manifest.Secret(Namespace, SiteSecret, nil, values), parent,
		pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns}))
	return secret, hash, err
}

// restartPatch starts the portal again when its environment changes.
func restartPatch(hash pulumi.StringOutput) layer.Patch {
	return layer.Patch{
		Group: "apps", Version: "v1", Kind: "Deployment", Name: Layer,
		Operations: hash.ApplyT(func(hash string) (string, error) {
			text, err := json.Marshal([]map[string]string{{
				"op": "add", "path": "/spec/template/metadata/annotations/neuroscale.dev~1site", "value": hash,
			}})
			return string(text), err
		}).(pulumi.StringOutput),
	}
}
