package stacks

import (
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Settings are those of a stack of which nothing is written, for a program of somebody
// else's to change and to make components of.
func Settings() *config.Config { return config.Default() }

// GuardrailLayers are the API server's own policies, for a program of somebody else's.
func GuardrailLayers() (layer.List, error) { return guardrailsLayers(nil) }

// SourceIn renders layers for a program of somebody else's. What it fetched and rendered
// it keeps in a folder.
func SourceIn(folder string, layers layer.List) (layer.Source, error) {
	renderer, err := render.New(gitops.FS, folder)
	if err != nil {
		return layer.Source{}, err
	}
	return Source(renderer, layers), nil
}
