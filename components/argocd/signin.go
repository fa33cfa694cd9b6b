package argocd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// Secrets with what the forge knows its server and its command line by.
const (
	forgeClient    = "argocd-forge-client"
	forgeCLIClient = "argocd-forge-cli-client"
)

// cliCallback is where the command line waits for whom it has sent to the forge.
const cliCallback = "http://localhost:8085/auth/callback"

// scopes asked for. Without the last one the forge's token could do all that its owner
// can.
var scopes = []string{"openid", "profile", "email", "groups", "read:user"}

// signIn makes both known to the forge.
func (a *ArgoCD) signIn(ctx *pulumi.Context, name string, f *forge.Forge, ns pulumi.Resource) error {
	for _, client := range []struct {
		name string
		args forge.ClientArgs
	}{
		{name + "-forge", forge.ClientArgs{Title: "Argo CD", RedirectURIs: []string{a.URL + "/auth/callback"}, Secret: forgeClient}},
		{name + "-forge-cli", forge.ClientArgs{Title: "Argo CD's command line", RedirectURIs: []string{cliCallback}, Secret: forgeCLIClient, Public: true}},
	} {
		args := client.args
		args.Forge, args.Namespace, args.NamespaceObject, args.Labels = f, Namespace, ns, partOf
		if _, err := forge.NewClient(ctx, client.name, &args, pulumi.Parent(a)); err != nil {
			return err
		}
	}
	return nil
}

// signInSettings are what Argo CD's ConfigMaps say of it, by their names. It reads them
// while it runs, and the Secrets they name.
func (a *ArgoCD) signInSettings(args *Args) map[string]manifest.Object {
	f := args.Forge
	oidc := args.Platform.Authority.ApplyT(func(authority string) (string, error) {
		text, err := yaml.Marshal(map[string]any{
			"name": "the forge", "issuer": f.Issuer, "rootCA": authority,
			"clientID": "$" + forgeClient + ":" + forge.ClientID, "clientSecret": "$" + forgeClient + ":" + forge.ClientSecret,
			"cliClientID":     "$" + forgeCLIClient + ":" + forge.ClientID,
			"requestedScopes": scopes,
		})
		return string(text), err
	}).(pulumi.StringOutput)
	return map[string]manifest.Object{
		"argocd-cm": {"url": a.URL, "oidc.config": oidc},
		// Who is nobody's sees nothing.
		"argocd-rbac-cm": {"policy.default": "", "scopes": "[groups]", "policy.csv": policy(forge.GroupOfAdmins(f.Organization), args.Readers)},
	}
}

// policy is what groups may do. A role of the project itself would do for readers, but
// Argo CD lets its groups make tokens that stay when a person goes.
func policy(admins string, readers map[string]string) string {
	lines := []string{"g, " + admins + ", role:admin"}
	for _, project := range slices.Sorted(maps.Keys(readers)) {
		role := "role:" + project
		for _, resource := range []string{"applications", "logs"} {
			lines = append(lines, fmt.Sprintf("p, %s, %s, get, %s/*, allow", role, resource, project))
		}
		lines = append(lines, fmt.Sprintf("p, %s, projects, get, %s, allow", role, project), fmt.Sprintf("g, %s, %s", readers[project], role))
	}
	return strings.Join(lines, "\n") + "\n"
}

// with is a rendered ConfigMap with more data.
func with(object, more manifest.Object) manifest.Object {
	data := manifest.Object{}
	if rendered, ok := object["data"].(map[string]any); ok {
		maps.Copy(data, rendered)
	}
	maps.Copy(data, more)
	out := maps.Clone(object)
	out["data"] = data
	return out
}
