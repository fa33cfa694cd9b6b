// Package standin holds the stand-ins for those of Pulumi's provider plugins that
// cannot be built from modules.
package standin

import (
	"maps"
	"slices"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/docker"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/random"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/tls"
)

// Providers are the stand-ins by the name of the package they serve.
var Providers = map[string]func() server.Provider{"docker": docker.New, "random": random.New, "tls": tls.New}

// ProgramNames are the names the stand-ins are called by, in order.
func ProgramNames() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(Providers)) {
		names = append(names, plugins.Prefix+name)
	}
	return names
}
