// Package tenancy gives each tenant a namespace, a share of the cluster and rights
// that end there.
package tenancy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

const (
	// Token is the component's type.
	Token = "neuroscale:platform:Tenancy"
	// Layer holds the quotas, limits, rights and networks of all tenants.
	Layer = "tenancy"
	// Existing is the namespace every cluster has. A tenant may have it: the
	// platform then only adds to it, and leaves it when the tenant goes.
	Existing = "default"
)

// Args of tenancy.
type Args struct {
	// Tenants as they are configured, at least one.
	Tenants []config.Tenant
	// Repositories of the forge by name: those of all tenants.
	Repositories map[string]forge.Repository
	// Layers as the function of that name makes them of Tenants.
	Layers layer.List
	// Delivery takes them to Git.
	Delivery *layer.Delivery
	// ProjectsReady is done when an AppProject can be made.
	ProjectsReady []pulumi.Resource
	// ProbeImage has Python: it finds out whether the cluster enforces
	// NetworkPolicies, which is an error if not and RequireNetworkPolicy is set.
	ProbeImage           string
	RequireNetworkPolicy bool
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("tenancy: no Args")
	}
	var errs []error
	if len(a.Tenants) == 0 {
		errs = append(errs, errors.New("tenancy: Args.Tenants is empty"))
	}
	for i, t := range a.Tenants {
		if t.Namespace == "" {
			errs = append(errs, fmt.Errorf("tenancy: Args.Tenants[%d].Namespace is empty", i))
		}
		for _, repository := range t.Repositories {
			if a.Repositories[repository].URL == "" {
				errs = append(errs, fmt.Errorf("tenancy: Args.Repositories has no %q, which is tenant %s's", repository, t.Namespace))
			}
		}
	}
	if len(a.Layers) == 0 {
		errs = append(errs, errors.New("tenancy: Args.Layers is empty"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("tenancy: Args.Delivery is missing"))
	}
	if a.ProbeImage == "" {
		errs = append(errs, errors.New("tenancy: Args.ProbeImage is empty"))
	}
	return errors.Join(errs...)
}

// Tenant is a tenant whose namespace is there.
type Tenant struct {
	// Namespace, which is its name, and the project of its Applications.
	Namespace, Project string
	// Repositories its Applications may come from, by name in their order.
	Repositories []string
}

// Tenancy is all tenants.
type Tenancy struct {
	pulumi.ResourceState
	// Tenants in the order of Args.
	Tenants []Tenant
	// Ready is done when every tenant's namespace is labelled and bounded, and
	// its Applications may be synced.
	Ready []pulumi.Resource
}

// New makes the tenants. The layer comes after the namespaces, so on the way out a
// namespace goes last, when nothing is left in it.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Tenancy, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	t := &Tenancy{}
	if err := ctx.RegisterComponentResource(Token, name, t, opts...); err != nil {
		return nil, err
	}
	set := manifest.NewSet(ctx, pulumi.Parent(t))
	var namespaces []pulumi.Resource
	for _, tenant := range args.Tenants {
		logical := name + "-" + tenant.Namespace
		if tenant.Namespace == Existing {
			namespaces = append(namespaces, set.Patch(logical, namespaceObject(tenant)))
		} else {
			// Whatever somebody's finalizer holds in it is not waited for any longer.
			namespaces = append(namespaces, set.Add(logical, namespaceObject(tenant), pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: "3m"})))
		}
		project := project(tenant, args.Repositories)
		t.Ready = append(t.Ready, set.Add(logical, project.Object(), pulumi.DependsOn(args.ProjectsReady)))
		for _, repository := range tenant.Repositories {
			t.Ready = append(t.Ready, set.Add(name+"-"+repository,
				argocd.RepositorySecret(repository, project.Name, args.Repositories[repository]),
				pulumi.DependsOn(args.ProjectsReady)))
		}
		t.Tenants = append(t.Tenants, Tenant{
			Namespace: tenant.Namespace, Project: project.Name, Repositories: tenant.Repositories,
		})
	}
	probe := addEnforcement(set, args)
	if args.RequireNetworkPolicy {
		t.Ready = append(t.Ready, probe)
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("tenancy: %w", err)
	}
	for _, definition := range args.Layers {
		l, err := layer.New(ctx, &layer.Args{
			Definition: definition, Delivery: args.Delivery, DependsOn: namespaces,
		}, pulumi.Parent(t))
		if err != nil {
			return nil, err
		}
		t.Ready = append(t.Ready, l.Ready...)
	}
	return t, ctx.RegisterResourceOutputs(t, pulumi.Map{"namespaces": pulumi.ToStringArray(names(args.Tenants))})
}

// Layers of tenants: one, of the quota, limits, rights and network of each. Their
// pods may fetch models from the stores that serving names, and what judges keys, if
// there is one, may see which pods are theirs, as the portal may their endpoints. Its
// version is their names.
func Layers(tenants []config.Tenant, s config.Serving, p config.Portal) (layer.List, error) {
	var objects []map[string]any
	for _, tenant := range tenants {
		quota, err := quota(tenant)
		if err != nil {
			return nil, err
		}
		limits, err := limitRange(tenant)
		if err != nil {
			return nil, err
		}
		objects = append(objects, quota, systemPriority(tenant), limits, networkPolicy(tenant, s.ModelStores), serviceAccount(tenant), role(tenant), roleBinding(tenant),
			followerRole(tenant), followerBinding(tenant))
		if s.Auth == config.AuthKeys {
			objects = append(objects, doorkeeperRole(tenant), doorkeeperBinding(tenant))
		}
		if p.Enabled {
			objects = append(objects, portalRole(tenant), portalBinding(tenant))
		}
	}
	tree, err := render.FromObjects(Layer, strings.Join(names(tenants), ", "), objects)
	if err != nil {
		return nil, fmt.Errorf("tenancy: %w", err)
	}
	return layer.List{{Name: Layer, Shared: names(tenants), Tree: layer.Made(tree)}}, nil
}

func names(tenants []config.Tenant) []string {
	out := make([]string, 0, len(tenants))
	for _, t := range tenants {
		out = append(out, t.Namespace)
	}
	return out
}
