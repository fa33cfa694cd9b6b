// Command pulumi-resource-standin stands in for Pulumi's kubernetes, tls and
// random plugins where those cannot be installed. It is linked under the plugins'
// names; the name it is called by says which one it is. Called by its own name,
// `pulumi-resource-standin install` makes those links where they are needed.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[1] == "install" {
		return install()
	}
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	build, ok := provider.Builders()[strings.TrimPrefix(name, provider.PluginPrefix)]
	if !ok {
		return fmt.Errorf("called as %q: link this program as one of %s", name, strings.Join(provider.PluginNames(), ", "))
	}
	// The engine runs plugins in process groups of their own, so an interrupt never
	// comes from a terminal: it is how the engine ends a plugin it needs no more,
	// and it waits five seconds for that.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return server.Serve(ctx, args[1:], os.Stdout, build)
}

// install links this program in the cache's folder of stand-ins, which `sealed
// env` puts on PATH.
func install() error {
	cache := os.Getenv("NEUROSCALE_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no folder for caches: set NEUROSCALE_CACHE or HOME: %w", err)
		}
		cache = filepath.Join(base, "neuroscale")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	names, err := provider.Install(cache, self)
	if len(names) > 0 {
		fmt.Fprintf(os.Stderr, "plugins: stand-ins for %s, which are not installed\n", strings.Join(names, ", "))
	}
	return err
}
