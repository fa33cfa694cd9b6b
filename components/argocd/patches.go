package argocd

import "github.com/neuroscale-platform/neuroscale/internal/render"

// Patches are what the settings change in Argo CD's own layer, for whoever
// renders it without the component.
func Patches(nodePort int) []render.Patch { return []render.Patch{servicePatch(nodePort)} }
