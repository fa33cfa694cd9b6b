// Package endpoints brings model endpoints from Git to the cluster: whatever
// folder people merge into the endpoints repository.
package endpoints

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	// Token is the component's type.
	Token = "neuroscale:platform:Endpoints"
	// ApplicationSet makes one Application of every folder.
	ApplicationSet = "neuroscale-model-endpoints"
	// Folder of the repository whose folders are the endpoints.
	Folder = "apps"
)

// Args of the endpoints.
type Args struct {
	// Apps is the first content of the repository: one folder an endpoint.
	Apps fs.FS
	// Repository people merge into.
	Repository forge.Repository
	// Namespace the endpoints run in.
	Namespace string
	// RequeueSeconds is how often the repository is looked at for new folders.
	RequeueSeconds int
	// Domain is the suffix of the endpoints' host names.
	Domain string
	// Project and ApplicationNamespace of the Applications.
	Project, ApplicationNamespace string
	// Delivery takes the first content to Git.
	Delivery *layer.Delivery
	// ServingReady is done when an InferenceService is admitted.
	ServingReady []pulumi.Resource
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("endpoints: no Args")
	}
	var errs []error
	for _, field := range []struct{ name, value string }{
		{"Repository.URL", a.Repository.URL}, {"Namespace", a.Namespace},
		{"Domain", a.Domain}, {"Project", a.Project}, {"ApplicationNamespace", a.ApplicationNamespace},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("endpoints: Args.%s is empty", field.name))
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

// New fills a new repository and has Argo CD follow it. A repository that has a
// main branch is never written to again.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Endpoints, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	archive, err := pack(args.Apps, Folder)
	if err != nil {
		return nil, fmt.Errorf("endpoints: first content: %w", err)
	}
	services, err := inferenceServices(args.Apps)
	if err != nil {
		return nil, fmt.Errorf("endpoints: first content: %w", err)
	}
	e := &Endpoints{URLs: map[string]string{}}
	for _, service := range services {
		e.URLs[service] = fmt.Sprintf("http://%s-predictor.%s.%s", service, args.Namespace, args.Domain)
	}
	if err := ctx.RegisterComponentResource(Token, name, e, opts...); err != nil {
		return nil, err
	}
	set := manifest.NewSet(ctx, pulumi.Parent(e))
	seed := args.Delivery.Seed(set, name+"-seed", args.Repository, archive, "Add the example endpoints")
	needs := append([]pulumi.Resource{seed}, args.ServingReady...)
	if args.Namespace != "default" {
		needs = append(needs, set.Add(name, manifest.Namespace(args.Namespace)))
	}
	applications := set.Add(name, applicationSet(args), pulumi.DependsOn(needs),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "3m", Update: "3m", Delete: "3m"}))
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	e.Ready = []pulumi.Resource{applications}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{"urls": pulumi.ToStringMap(e.URLs)})
}
