// Package gitops holds everything Argo CD reads that is ours: the platform's
// layers, the first endpoints and the templates of others, the prices and the pins
// of what comes from upstream.
package gitops

import "embed"

// FS is this folder.
//
//go:embed all:platform all:apps all:policies all:templates prices.yaml upstream.yaml
var FS embed.FS
