package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/images"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
	standins "github.com/neuroscale-platform/neuroscale/sealed/internal/standin"
)

func pluginsCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "plugins",
		Short: "Link the provider plugins that Pulumi has not installed where `sealed env` points",
		Long: `Link the provider plugins that Pulumi has not installed where ` + "`sealed env`" + ` points:
the Kubernetes provider as built from its module, and for the docker, random and tls
providers the program pulumi-resource-standin beside this one.`,
		Example: "  sealed plugins",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program's folder: %w", err)
			}
			programs := map[string]string{"kubernetes": images.KubernetesPlugin(s.cache)}
			if standin := filepath.Join(filepath.Dir(self), "pulumi-resource-standin"); exists(standin) {
				for name := range standins.Providers {
					programs[name] = standin
				}
			}
			linked, err := plugins.Link(s.cache, programs)
			if err != nil {
				return fmt.Errorf("link plugins: %w", err)
			}
			if len(linked) > 0 {
				fmt.Fprintf(os.Stderr, "plugins: linked %s, which are not installed\n", strings.Join(linked, ", "))
			}
			return nil
		},
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
