package forge

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// ClientToken is the type of a Client.
const ClientToken = "neuroscale:platform:ForgeClient"

// Fields of a client's Secret.
const (
	ClientID     = "id"
	ClientSecret = "secret"
)

//go:embed client.sh
var clientScript string

// ClientArgs describe what people sign in to with their account in the forge.
type ClientArgs struct {
	// Forge they have the account in.
	Forge *Forge
	// Title is what the forge calls it when it asks them.
	Title string
	// RedirectURIs are where the forge may send them back to.
	RedirectURIs []string
	// Public is whether it can keep no secret: a program on somebody's own machine,
	// which shows with each sign-in that the answer is its own (PKCE).
	Public bool
	// Namespace and Secret are where the client's id and secret go, which only the
	// forge knows. The namespace has to be there. Labels are the Secret's.
	Namespace, Secret string
	Labels            map[string]string
	// NamespaceObject is that namespace.
	NamespaceObject pulumi.Resource
}

func (a *ClientArgs) validate() error {
	if a == nil {
		return errors.New("forge client: no Args")
	}
	var errs []error
	if a.Forge == nil {
		errs = append(errs, errors.New("forge client: Args.Forge is missing"))
	}
	if a.NamespaceObject == nil {
		errs = append(errs, errors.New("forge client: Args.NamespaceObject is missing"))
	}
	for _, field := range []struct{ name, value string }{
		{"Title", a.Title}, {"Namespace", a.Namespace}, {"Secret", a.Secret}, {"RedirectURIs", strings.Join(a.RedirectURIs, "")},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("forge client: Args.%s is empty", field.name))
		}
	}
	for i, uri := range append([]string{a.Title}, a.RedirectURIs...) {
		if strings.ContainsAny(uri, "\"\\\n") || i > 0 && strings.Contains(uri, " ") {
			errs = append(errs, fmt.Errorf("forge client: %q cannot be written into JSON as it is", uri))
		}
	}
	return errors.Join(errs...)
}

// Client is something people sign in to.
type Client struct {
	pulumi.ResourceState
	// Ready is done when the Secret has the client's id and secret.
	Ready []pulumi.Resource
}

// NewClient makes a client known to the forge.
func NewClient(ctx *pulumi.Context, name string, args *ClientArgs, opts ...pulumi.ResourceOption) (*Client, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	c := &Client{}
	if err := ctx.RegisterComponentResource(ClientToken, name, c, opts...); err != nil {
		return nil, err
	}
	object := "gitea-client-" + name
	there := manifest.NewSet(ctx, pulumi.Parent(c), pulumi.DeletedWith(args.NamespaceObject),
		pulumi.DependsOn([]pulumi.Resource{args.NamespaceObject}))
	here := manifest.NewSet(ctx, pulumi.Parent(c), pulumi.DeletedWith(args.Forge.namespace),
		pulumi.DependsOn([]pulumi.Resource{args.Forge.namespace}))
	meta := func(namespace, name string) manifest.Object {
		return manifest.Object{"name": name, "namespace": namespace}
	}
	needs := []pulumi.Resource{
		// All of its other fields are the Job's.
		there.Add(name+"-secret", manifest.Secret(args.Namespace, args.Secret, args.Labels, map[string]pulumi.StringInput{
			"title": pulumi.String(args.Title),
		})),
		there.Add(name, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(args.Namespace, object),
			"rules": []any{manifest.Object{
				"apiGroups": []any{""}, "resources": []any{"secrets"}, "resourceNames": []any{args.Secret}, "verbs": []any{"get", "patch"},
			}},
		}),
		there.Add(name, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta(args.Namespace, object),
			"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": object},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": object, "namespace": Namespace}},
		}),
		here.Add(name, manifest.Object{
			"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(Namespace, object),
		}),
		here.Add(name+"-script", manifest.ConfigMap(Namespace, clientScripts(), map[string]string{"client.sh": clientScript})),
	}
	needs = append(needs, args.Forge.Ready...)
	job := here.Add(name, clientJob(object, args), manifest.JobTimeout(), pulumi.DependsOn(needs))
	if err := errors.Join(there.Err(), here.Err()); err != nil {
		return nil, fmt.Errorf("forge client %s: %w", name, err)
	}
	c.Ready = []pulumi.Resource{job}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

func clientScripts() string { return "gitea-client-" + manifest.Hash(clientScript) }

// clientJob is named by all that it does, so a change runs it again.
func clientJob(object string, args *ClientArgs) manifest.Object {
	uris := strings.Join(args.RedirectURIs, " ")
	var env []any
	for _, pair := range [][2]string{
		{"ADMIN", Admin},
		{"ACCOUNTS", accountsDir},
		{"ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"},
		{"WORK", "/tmp"},
		{"FORGE_URL", args.Forge.InternalURL},
		{"CURL_CA_BUNDLE", authorityDir + "/" + certificates.AuthorityKey},
		{"NAME", args.Title},
		{"REDIRECT_URIS", uris},
		{"CONFIDENTIAL", strconv.FormatBool(!args.Public)},
		{"NAMESPACE", args.Namespace},
		{"SECRET", args.Secret},
	} {
		env = append(env, manifest.Object{"name": pair[0], "value": pair[1]})
	}
	return manifest.Job(manifest.JobSpec{
		Namespace: Namespace, Name: object + "-" + manifest.Hash(clientScript, args.Forge.image, args.Title, uris, strconv.FormatBool(args.Public), args.Namespace, args.Secret), UID: uid,
		Labels:         map[string]string{"app.kubernetes.io/name": "gitea-client"},
		ServiceAccount: object,
		Container: manifest.Object{
			"name": "client", "image": args.Forge.image,
			"command": []any{"bash", scriptsDir + "/client.sh"},
			"env":     env,
			"volumeMounts": []any{
				manifest.Mount("accounts", accountsDir, true),
				manifest.Mount("scripts", scriptsDir, true),
				manifest.Mount("authority", authorityDir, true),
				manifest.Mount("scratch", "/tmp", false),
			},
			"resources": manifest.SmallResources(),
		},
		Volumes: []any{
			manifest.SecretVolume("accounts", accountsName),
			manifest.ConfigMapVolume("scripts", clientScripts()),
			manifest.ConfigMapVolume("authority", authorityName),
			manifest.ScratchVolume("scratch"),
		},
	})
}
