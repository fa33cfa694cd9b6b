// Package gitops holds everything Argo CD reads that is ours: the platform's
// layers, the first endpoints and the pins of what comes from upstream.
package gitops

import "embed"

// FS is this folder.
//
//go:embed all:platform all:apps all:policies upstream.yaml
var FS embed.FS
