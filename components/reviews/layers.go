package reviews

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/follower"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

const (
	// Layer is the only one. Its Service has that name, too.
	Layer = "guard"
	// Namespace is its own.
	Namespace = follower.Namespace

	// Host is the guard's name in the cluster, FollowerHost that of what says what
	// became of a merge.
	Host         = Layer + "." + Namespace + ".svc"
	FollowerHost = followerName + "." + Namespace + ".svc"

	followerName = follower.ServiceAccount

	port = 8443
)

// Layers of the reviews as a configuration makes them.
func Layers(cfg *config.Config) layer.List {
	return layer.List{{
		Name: Layer, Namespaces: []string{Namespace},
		Tree: func(ctx context.Context, s layer.Source) (*render.Tree, error) { return tree(ctx, s, cfg) },
	}}
}

// tree renders the layer with the rules packed into it, and with another pod when
// they are others.
func tree(ctx context.Context, s layer.Source, cfg *config.Config) (*render.Tree, error) {
	schemas, err := s.Schemas(ctx)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", Layer, err)
	}
	archive, err := Rules(cfg, s.Reserved).Pack(gitops.FS, schemas)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", Layer, err)
	}
	follows, err := json.Marshal(follower.Settings{
		Sources: sources(cfg, s.Reserved), Namespace: argocd.Namespace, Folder: endpoints.Folder, Keys: cfg.Serving.Auth == config.AuthKeys,
	})
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", Layer, err)
	}
	at := []any{"-forge=" + forge.InternalURL(cfg.TLS.Plain(config.ServerForge)), "-organization=" + cfg.Forge.Organization}
	if cfg.Forge.OnGitHub() {
		at[0] = "-provider=" + config.ForgeGitHub
	}
	return s.Renderer.Layer(ctx, Layer,
		render.Patch{Kind: "ConfigMap", Namespace: Namespace, Name: followerName, Merge: map[string]any{
			"data": map[string]any{"settings.json": string(follows)},
		}},
		render.Patch{Kind: "Deployment", Namespace: Namespace, Name: followerName, Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{
				"metadata": map[string]any{"annotations": map[string]any{"neuroscale.dev/settings": manifest.Hash(string(follows))}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": followerName, "args": slices.Concat([]any{"follow"}, at)}}},
			}},
		}},
		render.Patch{Kind: "ConfigMap", Namespace: Namespace, Name: "rules", Merge: map[string]any{
			"binaryData": map[string]any{"rules.tar.zst": base64.StdEncoding.EncodeToString(archive)},
		}},
		render.Patch{Kind: "Deployment", Namespace: Namespace, Name: Layer, Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{
				"metadata": map[string]any{"annotations": map[string]any{"neuroscale.dev/rules": manifest.Hash(string(archive))}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": Layer, "args": slices.Concat([]any{"serve"}, at)}}},
			}},
		}},
	)
}

// sources are all repositories, as the follower needs them.
func sources(cfg *config.Config, reserved []string) []follower.Source {
	var all []follower.Source
	for _, s := range endpoints.Sources(cfg.Tenants, reserved) {
		all = append(all, follower.Source{Repository: s.Repository, Tenant: s.Tenant, ApplicationSet: s.ApplicationSet, Prefix: s.Prefix})
	}
	return all
}

// Rules are what endpoints are checked by. No endpoint may have one of the reserved
// names.
func Rules(cfg *config.Config, reserved []string) guard.Rules {
	r := guard.Rules{
		DefaultResources: cfg.Serving.DefaultResources,
		Excluded:         map[string][]string{},
	}
	for _, s := range endpoints.Sources(cfg.Tenants, reserved) {
		r.Excluded[s.Repository] = s.Excluded
	}
	for _, t := range cfg.Tenants {
		// Who a tenant's people are is no reason to check anything again.
		r.Tenants = append(r.Tenants, config.Tenant{
			Namespace: t.Namespace, Owner: t.Owner, CostCenter: t.CostCenter, Repositories: t.Repositories, Quota: t.Quota, Limits: t.Limits,
		})
	}
	for _, k := range argocd.TenantKinds {
		name := k.Kind
		if k.Group != "" {
			name = k.Group + "/" + k.Kind
		}
		r.Kinds = append(r.Kinds, name)
	}
	return r
}
