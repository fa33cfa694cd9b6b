package render

import (
	"context"
	"fmt"
)

// Module is the folder of the upstream module of that alias, at its pinned
// version and with its pinned checksum. It may be downloaded with the Go
// toolchain; an unknown alias is an error naming the nearest known one.
func (r *Renderer) Module(ctx context.Context, alias string) (dir string, err error) {
	m, err := r.upstream.Module(alias)
	if err != nil {
		return "", err
	}
	folders, err := r.fetch(ctx, []Module{m})
	if err != nil {
		return "", fmt.Errorf("upstream %s: %w", alias, err)
	}
	return folders[0], nil
}

// Key names everything that a layer without patches is made from: equal keys are
// equal objects, and nothing has to be rendered to know it. An unknown name is an
// error with the nearest known one.
func (r *Renderer) Key(layer string) (string, error) {
	l, ok := r.layers[layer]
	if !ok {
		return "", unknown("layer", layer, r.Layers())
	}
	own, err := l.files(r.fsys)
	if err != nil {
		return "", err
	}
	key, err := inputHash(r.pins, l, own)
	if err != nil {
		return "", fmt.Errorf("hash the inputs of layer %s: %w", layer, err)
	}
	return key, nil
}
