package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) renderCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "render LAYER",
		Short: "Print the objects of a layer as the stack's settings make them",
		Example: "  neuroscale render knative\n" +
			"  neuroscale render kserve -o json",
		Args: exactArgs("LAYER"),
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
	layers, err := a.layers()
	if err != nil {
		return nil, err
	}
	d, known := layers.Get(name)
	if !known {
		return nil, fmt.Errorf("unknown layer %q%s: there are %s", name, nearest.Hint(name, layers.Names()), strings.Join(layers.Names(), ", "))
	}
	dir, err := a.renderCache()
	if err != nil {
		return nil, err
	}
	r, err := render.New(gitops.FS, dir)
	if err != nil {
		return nil, err
	}
	return d.Tree(ctx, stacks.Source(r, layers))
}

// layers of the platform as the stack's settings make them.
func (a *app) layers() (layer.List, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return stacks.Layers(cfg)
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
