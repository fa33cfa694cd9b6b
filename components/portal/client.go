package portal

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// GitHub is what people sign in with whose repositories are there.
type GitHub struct {
	// ClientID and ClientSecret are of the OAuth App.
	ClientID     string
	ClientSecret pulumi.StringOutput
	// Reaches is where GitHub is.
	Reaches []config.Egress
}

func (g *GitHub) validate() error {
	var errs []error
	if g.ClientID == "" {
		errs = append(errs, errors.New("portal: Args.GitHub.ClientID is empty"))
	}
	if g.ClientSecret.OutputState == nil {
		errs = append(errs, errors.New("portal: Args.GitHub.ClientSecret is missing"))
	}
	if len(g.Reaches) == 0 {
		errs = append(errs, errors.New("portal: Args.GitHub.Reaches is empty"))
	}
	return errors.Join(errs...)
}

// newClient has the portal be known to where people sign in, and is done when it is.
func newClient(ctx *pulumi.Context, name, url string, args *Args, ns pulumi.Resource, parent pulumi.ResourceOption) ([]pulumi.Resource, error) {
	if args.GitHub == nil {
		client, err := forge.NewClient(ctx, name, &forge.ClientArgs{
			Forge: args.Forge, Title: "NeuroScale portal", RedirectURIs: []string{url + config.SignInPath(config.ForgeGitea)},
			Namespace: Namespace, Secret: ClientSecret, NamespaceObject: ns,
		}, parent)
		if err != nil {
			return nil, err
		}
		return client.Ready, nil
	}
	set := manifest.NewSet(ctx, parent, pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns}))
	ready := []pulumi.Resource{set.Add(name+"-client", manifest.Secret(Namespace, ClientSecret, nil, map[string]pulumi.StringInput{
		"id": pulumi.String(args.GitHub.ClientID), "secret": args.GitHub.ClientSecret,
	}))}
	for _, policy := range bounds(args) {
		ready = append(ready, set.Add(name+"-bounds", policy))
	}
	return ready, set.Err()
}

// bounds let the portal connect to the cluster, to its database and to GitHub: with it
// are people's tokens, which may do more than the platform needs of them.
func bounds(args *Args) []manifest.Object {
	pods := map[string]string{"app": Layer}
	policy := manifest.Reaches(Namespace, "neuroscale-portal-reaches", pods, nil)
	// The API server is no pod.
	var inside []any
	for _, cidr := range config.Inside() {
		inside = append(inside, manifest.Object{"ipBlock": manifest.Object{"cidr": cidr}})
	}
	rules := []any{
		manifest.Object{"to": []any{manifest.Object{"namespaceSelector": manifest.Object{}}}},
		manifest.Object{"to": inside},
	}
	if d := args.Settings.Database; d.Postgres() {
		rules = append(rules, manifest.Object{"ports": []any{manifest.Object{"protocol": "TCP", "port": d.Port}}})
	}
	policy["spec"].(manifest.Object)["egress"] = rules
	return []manifest.Object{policy, manifest.Reaches(Namespace, "neuroscale-portal-reaches-github", pods, args.GitHub.Reaches)}
}
