package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

func (a *app) renderCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "render LAYER",
		Short: "Print the objects of a layer as the stack's settings make them",
		Args:  exactArgs("LAYER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := a.renderLayer(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, map[string]any{
					"layer": args[0], "version": tree.Version(), "hash": tree.Hash(), "objects": tree.Objects(),
				})
			}
			text, err := tree.YAML()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "# layer %s, %s, hash %s\n", args[0], tree.Version(), tree.Hash())
			_, err = a.out.Write(text)
			return err
		},
	}
	outputFlag(cmd, &format, "yaml", "json")
	return cmd
}

func (a *app) renderLayer(ctx context.Context, name string) (*render.Tree, error) {
	dir, err := a.renderCache()
	if err != nil {
		return nil, err
	}
	r, err := render.New(gitops.FS, dir)
	if err != nil {
		return nil, err
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	switch name {
	case argocd.Layer:
		return r.Layer(ctx, name, argocd.Patches(cfg.GitOps.NodePort)...)
	case guardrails.AdmissionLayer, guardrails.PoliciesLayer:
		policies, err := policy.Load(gitops.FS)
		if err != nil {
			return nil, err
		}
		return guardrails.Tree(name, policies)
	case tenancy.Layer:
		return tenancy.Tree(cfg.Tenants)
	}
	known := allLayers(r)
	if !slices.Contains(known, name) {
		return nil, fmt.Errorf("unknown layer %q%s: there are %s", name, hint(name, known), strings.Join(known, ", "))
	}
	return r.Layer(ctx, name, serving.Patches(name, cfg.Serving)...)
}

// allLayers are the names of the layers, sorted.
func allLayers(r *render.Renderer) []string {
	names := append(r.Layers(), guardrails.AdmissionLayer, guardrails.PoliciesLayer, tenancy.Layer)
	slices.Sort(names)
	return names
}

func (a *app) layerNames() ([]string, error) {
	dir, err := a.renderCache()
	if err != nil {
		return nil, err
	}
	r, err := render.New(gitops.FS, dir)
	if err != nil {
		return nil, err
	}
	return allLayers(r), nil
}

// renderCache is shared with the program.
func (a *app) renderCache() (string, error) {
	if dir := a.getenv("NEUROSCALE_CACHE"); dir != "" {
		return filepath.Join(dir, "render"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w: set NEUROSCALE_CACHE", err)
	}
	return filepath.Join(dir, "neuroscale", "render"), nil
}
