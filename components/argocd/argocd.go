// Package argocd provides Argo CD, the one part of the platform that Pulumi
// applies object by object.
package argocd

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

const (
	// Token is the component's type.
	Token = "neuroscale:platform:ArgoCD"
	// Layer is the rendered layer it is made of.
	Layer = "argocd"
	// Namespace holds Argo CD, its Applications and projects.
	Namespace = "argocd"
	// Admin is the account of the platform's administrators.
	Admin = "admin"
	// Host is its server's name in the cluster.
	Host = service + "." + Namespace + ".svc"

	service           = "argocd-server"
	applicationSets   = "argocd-applicationset-controller"
	certificateSecret = "argocd-server-tls" // the name it looks for
)

// WebhookURL takes the forge's notice of a push; plain is over HTTP.
func WebhookURL(plain bool) string { return scheme(plain) + "://" + Host + "/api/webhook" }

// Hosts are the names and addresses at which its server is asked, where its node port
// is at address; also those of a port-forward.
func Hosts(address string) []string {
	return []string{Host, Host + ".cluster.local", address, "localhost", "127.0.0.1", "::1"}
}

func scheme(plain bool) string {
	if plain {
		return "http"
	}
	return "https"
}

// Args of Argo CD.
type Args struct {
	// Settings people may choose.
	Settings config.GitOps
	// Source its layer is rendered from.
	Source layer.Source
	// Address is the host name or IP address of its node port.
	Address string
	// Certificate of its server; HTTP has it show none.
	Certificate certificates.Certificate
	HTTP        bool
	// Forge that people sign in with.
	Forge *forge.Forge
	// Readers are groups of Forge whose people see the Applications of one project,
	// their objects and logs, and change nothing; by the project's name.
	Readers map[string]string
	// Platform is the only repository of project platform.
	Platform forge.Repository
	// WebhookSecret is what the forge signs its notices with.
	WebhookSecret pulumi.StringInput
	// Reaches is where else tenants' repositories are read from.
	Reaches []config.Egress
	// Layers of the platform, its own among them: what project platform may put
	// where.
	Layers layer.List
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("argocd: no Args")
	}
	var errs []error
	if a.Source.Renderer == nil {
		errs = append(errs, errors.New("argocd: Args.Source.Renderer is missing"))
	}
	for _, field := range []struct{ name, value string }{
		{"Address", a.Address},
		{"Platform.URL", a.Platform.URL},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("argocd: Args.%s is empty", field.name))
		}
	}
	if a.Forge == nil {
		errs = append(errs, errors.New("argocd: Args.Forge is missing"))
	}
	if a.Settings.NodePort == 0 {
		errs = append(errs, errors.New("argocd: Args.Settings.NodePort is 0"))
	}
	if a.Platform.Authority.OutputState == nil {
		errs = append(errs, errors.New("argocd: Args.Platform.Authority is missing"))
	}
	if !a.Certificate.There() {
		errs = append(errs, errors.New("argocd: Args.Certificate is missing"))
	}
	if a.WebhookSecret == nil {
		errs = append(errs, errors.New("argocd: Args.WebhookSecret is missing"))
	}
	if _, ok := a.Layers.Get(Layer); !ok {
		errs = append(errs, fmt.Errorf("argocd: Args.Layers has no %s", Layer))
	}
	return errors.Join(errs...)
}

// ArgoCD syncs Git to the cluster.
type ArgoCD struct {
	pulumi.ResourceState
	// URL at which people reach it.
	URL string
	// Hash and Version of its rendered layer.
	Hash, Version string
	// AdminPassword of the user admin.
	AdminPassword pulumi.StringOutput
	// ProjectsReady is done when a project can be made and a repository be named,
	// though nobody syncs from it yet.
	ProjectsReady []pulumi.Resource
	// Ready is done when Applications of project platform get synced.
	Ready []pulumi.Resource
}

// New applies Argo CD. What its processes read when they start is there before
// them: the ApplicationSet controller looks for its key only once.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*ArgoCD, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	own, _ := args.Layers.Get(Layer)
	tree, err := own.Tree(ctx.Context(), args.Source)
	if err != nil {
		return nil, fmt.Errorf("argocd: render: %w", err)
	}
	a := &ArgoCD{
		Hash: tree.Hash(), Version: tree.Version(),
		URL: fmt.Sprintf("%s://%s", scheme(args.HTTP), net.JoinHostPort(args.Address, strconv.Itoa(args.Settings.NodePort))),
	}
	if err := ctx.RegisterComponentResource(Token, name, a, opts...); err != nil {
		return nil, err
	}
	passwords := map[string]*random.RandomPassword{}
	for _, key := range []string{"admin", "server-key", "redis", "unused-webhooks"} {
		length := 32
		if key == "admin" {
			length = 24
		}
		password, err := random.NewRandomPassword(ctx, name+"-"+key, &random.RandomPasswordArgs{
			Length:  pulumi.Int(length),
			Special: pulumi.Bool(false),
		}, pulumi.Parent(a))
		if err != nil {
			return nil, fmt.Errorf("argocd: password %s: %w", key, err)
		}
		passwords[key] = password
	}
	a.AdminPassword = pulumi.ToSecret(passwords["admin"].Result).(pulumi.StringOutput)

	ns, err := manifest.New(ctx, name, manifest.Namespace(Namespace), pulumi.Parent(a))
	if err != nil {
		return nil, err
	}
	in := &installation{
		name: name, namespace: ns,
		set:      manifest.NewSet(ctx, pulumi.Parent(a)),
		settings: a.signInSettings(args),
	}
	in.before("secret", settingsSecret(passwords, args.WebhookSecret))
	in.before("redis", redisSecret(passwords["redis"]))
	in.before("certificate", args.Certificate.Secret(Namespace, certificateSecret))
	in.before("trust", trustConfigMap(args.Platform.Authority))
	in.before("repository-platform", RepositorySecret("platform", PlatformProject, args.Platform))
	if len(args.Reaches) > 0 {
		in.before("reaches", manifest.Reaches(Namespace, "neuroscale-repo-server-reaches", map[string]string{"app.kubernetes.io/name": "argocd-repo-server"}, args.Reaches))
	}
	if err := in.apply(tree.Objects()); err != nil {
		return nil, fmt.Errorf("argocd: %w", err)
	}
	if err := a.signIn(ctx, name, args.Forge, ns); err != nil {
		return nil, fmt.Errorf("argocd: %w", err)
	}
	a.ProjectsReady = append([]pulumi.Resource{ns}, in.definitions...)
	project := in.set.Add(name+"-"+PlatformProject, platformProject(args).Object(), pulumi.DependsOn(a.ProjectsReady))
	if err := in.set.Err(); err != nil {
		return nil, fmt.Errorf("argocd: %w", err)
	}
	a.Ready = append([]pulumi.Resource{project}, in.workloads...)
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{
		"url":           pulumi.String(a.URL),
		"adminPassword": a.AdminPassword,
	})
}
