// Package stacks is the Pulumi program: configuration, components in their order,
// outputs.
package stacks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Options replace what the program finds by itself.
type Options struct {
	// Config are the raw configuration values ("neuroscale:forge" to JSON); nil
	// means those Pulumi started the program with.
	Config map[string]string
	// Renderer of the layers; nil means the embedded ones, cached in CacheDir.
	Renderer *render.Renderer
	// Checkout is the folder of this repository, of which its own images are built;
	// empty means the project's.
	Checkout string
	// CacheDir of the default renderer; empty means render below
	// NEUROSCALE_CACHE or the user's cache folder.
	CacheDir string
	// Schemas of all kinds, as files; nil means those that Renderer's pins and layers
	// make.
	Schemas func(context.Context) (map[string][]byte, error)
	// Cluster and Docker, if not nil, are given the Args of an existing cluster, or of
	// one in Docker, before they are used.
	Cluster func(*cluster.Args)
	Docker  func(*cluster.DockerArgs)
	// GitHub, if not nil, is given what its tokens are asked for before that is done.
	GitHub func(*github.Preflight)
}

// Program is what `pulumi up` runs.
func Program(ctx *pulumi.Context) error { return New(Options{})(ctx) }

// New is the program with options.
func New(o Options) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		raw, err := o.rawConfig(ctx)
		if err != nil {
			return err
		}
		cfg, err := Config(raw)
		if err != nil {
			return err
		}
		renderer, err := o.renderer()
		if err != nil {
			return err
		}
		builds, err := o.builds(ctx, cfg, renderer.Upstream())
		if err != nil {
			return err
		}
		s, err := newSite(ctx, cfg, renderer.Mirrored(cfg.Cluster.ImageRegistry).Renamed(references(builds)), o)
		if err != nil {
			return err
		}
		s.builds = builds
		if err := s.askGitHub(); err != nil {
			return err
		}
		if err := s.arrange(); err != nil {
			return err
		}
		for i, p := range platform {
			if err := p.bringUp(s, s.parts[i]); err != nil {
				return err
			}
		}
		s.export()
		return nil
	}
}

// rawConfig are all values Pulumi started the program with. The SDK only answers
// for a key that is known, and it is the unknown ones people need to hear about:
// the environment of a program has them all.
func (o Options) rawConfig(ctx *pulumi.Context) (map[string]string, error) {
	if o.Config != nil {
		return o.Config, nil
	}
	raw := map[string]string{}
	if text := os.Getenv("PULUMI_CONFIG"); text != "" {
		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			return nil, fmt.Errorf("PULUMI_CONFIG: %w", err)
		}
	}
	for _, key := range config.Keys() {
		if value, ok := ctx.GetConfig(key); ok {
			raw[key] = value
		}
	}
	return raw, nil
}

func (o Options) renderer() (*render.Renderer, error) {
	if o.Renderer != nil {
		return o.Renderer, nil
	}
	dir := o.CacheDir
	if dir == "" {
		cache := os.Getenv("NEUROSCALE_CACHE")
		if cache == "" {
			user, err := os.UserCacheDir()
			if err != nil {
				return nil, fmt.Errorf("no folder for the cache (%w): set HOME or NEUROSCALE_CACHE", err)
			}
			cache = filepath.Join(user, "neuroscale")
		}
		dir = filepath.Join(cache, "render")
	}
	return render.New(gitops.FS, dir)
}
