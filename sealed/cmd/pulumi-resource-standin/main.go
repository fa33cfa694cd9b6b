// Command pulumi-resource-standin stands in for Pulumi's docker, random and tls
// plugins where those cannot be installed. It is linked under the plugins' names; the
// name it is called by says which one it is.
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

	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	build, ok := standin.Providers[strings.TrimPrefix(name, plugins.Prefix)]
	if !ok {
		return fmt.Errorf("called as %q: link this program as one of %s", name, strings.Join(standin.ProgramNames(), ", "))
	}
	// The engine runs plugins in process groups of their own, so an interrupt never
	// comes from a terminal: it is how the engine ends a plugin it needs no more,
	// and it waits five seconds for that.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return server.Serve(ctx, args[1:], os.Stdout, build())
}
