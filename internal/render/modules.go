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
