// Package endpoints brings model endpoints from Git to the cluster: whatever
// folder people merge into the endpoints repository.
package endpoints

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
)

const (
	// Token is the component's type.
	Token = "neuroscale:platform:Endpoints"
	// ApplicationSet makes one Application of every folder of the first
	// repository. Those of other repositories have the tenant's namespace after it.
	ApplicationSet = "neuroscale-model-endpoints"
	// Folder of a repository whose folders are the endpoints.
	Folder = "apps"
)

// Args of the endpoints.
type Args struct {
	// Apps is the first content of the first tenant's first repository: one folder
	// an endpoint.
	Apps fs.FS
	// Tenants whose endpoints they are, at least one with a repository.
	Tenants []tenancy.Tenant
	// Repositories people merge into, by the names Tenants have for them.
	Repositories map[string]forge.Repository
	// RequeueSeconds is how often a repository is looked at for new folders.
	RequeueSeconds int
	// Domain is the suffix of the endpoints' host names, Scheme that of their URLs.
	Domain, Scheme string
	// ApplicationNamespace of the Applications.
	ApplicationNamespace string
	// Reserved are names of Applications that no folder may have.
	Reserved []string
	// Delivery takes first contents to Git.
	Delivery *layer.Delivery
	// After is done when an InferenceService is admitted by all who judge it: no
	// folder becomes an Application before.
	After []pulumi.Resource
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("endpoints: no Args")
	}
	var errs []error
	for _, field := range []struct{ name, value string }{
		{"Domain", a.Domain}, {"Scheme", a.Scheme}, {"ApplicationNamespace", a.ApplicationNamespace},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("endpoints: Args.%s is empty", field.name))
		}
	}
	if len(a.Tenants) == 0 {
		errs = append(errs, errors.New("endpoints: Args.Tenants is empty"))
	}
	for i, t := range a.Tenants {
		if t.Namespace == "" || t.Project == "" || len(t.Repositories) == 0 {
			errs = append(errs, fmt.Errorf("endpoints: Args.Tenants[%d] needs a Namespace, a Project and Repositories", i))
		}
		for _, repository := range t.Repositories {
			if a.Repositories[repository].URL == "" {
				errs = append(errs, fmt.Errorf("endpoints: Args.Repositories has no %q, which is tenant %s's", repository, t.Namespace))
			}
		}
	}
	if a.Apps == nil {
		errs = append(errs, errors.New("endpoints: Args.Apps is missing"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("endpoints: Args.Delivery is missing"))
	}
	if a.RequeueSeconds < 1 {
		errs = append(errs, fmt.Errorf("endpoints: Args.RequeueSeconds is %d: at least 1", a.RequeueSeconds))
	}
	return errors.Join(errs...)
}

// Endpoints are the models people serve.
type Endpoints struct {
	pulumi.ResourceState
	// URLs of the first content's endpoints by name.
	URLs map[string]string
	// Ready is done when every folder has become an Application.
	Ready []pulumi.Resource
}

// New fills new repositories and has Argo CD follow them. A repository that has a
// main branch is never written to again.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Endpoints, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	examples, err := pack(args.Apps, Folder)
	if err != nil {
		return nil, fmt.Errorf("endpoints: first content: %w", err)
	}
	bare, err := packEmpty()
	if err != nil {
		return nil, fmt.Errorf("endpoints: content of an empty repository: %w", err)
	}
	services, err := Names(args.Apps)
	if err != nil {
		return nil, fmt.Errorf("endpoints: first content: %w", err)
	}
	e := &Endpoints{URLs: map[string]string{}}
	for _, service := range services {
		e.URLs[service] = fmt.Sprintf("%s://%s-predictor.%s.%s", args.Scheme, service, args.Tenants[0].Namespace, args.Domain)
	}
	if err := ctx.RegisterComponentResource(Token, name, e, opts...); err != nil {
		return nil, err
	}
	set := manifest.NewSet(ctx, pulumi.Parent(e))
	sources := sources(args.Tenants)
	for _, s := range sources {
		archive, message := bare, "Begin"
		if s.first() {
			archive, message = examples, "Add the example endpoints"
		}
		seed := args.Delivery.Seed(set, name+"-seed"+s.seedSuffix(), args.Repositories[s.repository], archive, message)
		e.Ready = append(e.Ready, set.Add(name+s.suffix, applicationSet(args, s, sources).Object(),
			pulumi.DependsOn(append([]pulumi.Resource{seed}, args.After...)),
			pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "3m", Update: "3m", Delete: "3m"})))
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{"urls": pulumi.ToStringMap(e.URLs)})
}

// applicationSet follows the folders of one source.
func applicationSet(args *Args, s source, all []source) argoproj.ApplicationSet {
	return argoproj.ApplicationSet{
		Name: ApplicationSet + s.suffix, Namespace: args.ApplicationNamespace,
		Repository: args.Repositories[s.repository].ReadURL(), Folder: Folder, Excluded: s.excluded(all, args.Reserved),
		RequeueSeconds: args.RequeueSeconds, Prefix: s.prefix,
		Project: s.tenant.Project, Destination: s.tenant.Namespace,
	}
}
