// Command sealed runs a real Kubernetes node, with registry, images and object
// store, on a machine that has neither Docker nor a container registry.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		text := err.Error()
		if ctx.Err() != nil {
			text = "interrupted: run the same command again to go on, or `sealed down` to undo it"
		}
		// Several errors are one line each; a suggestion belongs to its line.
		text = strings.NewReplacer("\n\nDid you mean this?\n\t", ": did you mean ", "\n\t", ", ").Replace(strings.TrimSpace(text))
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintln(os.Stderr, "sealed: "+line)
		}
		stop()
		os.Exit(1)
	}
}

// settings are what every command is told.
type settings struct {
	name, repo string
	cache      string
}

func root() *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "sealed",
		Short: "A real Kubernetes node without Docker, built from package registries alone",
		Example: "  sealed up\n" +
			"  eval \"$(sealed env)\"\n" +
			"  sealed down",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			s.cache, err = cacheDir()
			return err
		},
	}
	cmd.PersistentFlags().StringVar(&s.repo, "repo", "", "folder of this repository (default: found from the working folder or the program's)")
	cmd.AddCommand(upCommand(s), downCommand(s), statusCommand(s), logsCommand(s), envCommand(s), imagesCommand(s), pluginsCommand(s), initCommand(s),
		engineCommand(s), engineInitCommand(s), engineRuntimeCommand(),
		nodeImageCommand(s), nodeContainerCommand(s), nodeHealthCommand())
	return cmd
}

func (s *settings) nameFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.name, "name", node.DefaultName, "name of the instance")
}

// load reads the instance the command is about.
func (s *settings) load() (*node.Instance, error) { return node.Load(s.cache, s.name) }

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "node: "+format+"\n", args...) }

// cacheDir is absolute and free of symbolic links, so that it means the same
// inside a node.
func cacheDir() (string, error) {
	dir := os.Getenv("NEUROSCALE_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder for caches: set NEUROSCALE_CACHE or HOME: %w", err)
		}
		dir = filepath.Join(base, "neuroscale")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cache folder %s: %w", dir, err)
	}
	return resolve(dir)
}

// resolve follows the symbolic links of as much of the path as exists.
func resolve(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil || dir == filepath.Dir(dir) {
		return real, err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cache folder %s: %w", dir, err)
	}
	parent, err := resolve(filepath.Dir(dir))
	return filepath.Join(parent, filepath.Base(dir)), err
}

// repository finds the folder that holds the table of upstreams.
func (s *settings) repository() (string, error) {
	if s.repo != "" {
		if _, err := os.Stat(filepath.Join(s.repo, upstreams)); err != nil {
			return "", fmt.Errorf("--repo %s holds no %s: name the folder of this repository", s.repo, upstreams)
		}
		return filepath.Abs(s.repo)
	}
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if program, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(program))
	}
	for _, dir := range starts {
		for ; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, upstreams)); err == nil {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("no %s here or above: run this inside the repository or name it with --repo", upstreams)
}

const upstreams = "gitops/upstream.yaml"
