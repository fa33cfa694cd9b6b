package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/images"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
)

// builder makes what a node runs, and reports it line by line.
type builder struct {
	options images.Options
	skip    bool // build nothing
}

func newBuilder(options images.Options) *builder { return &builder{options: options} }

// Missing names what is to be built: not there, or made by an older recipe.
func (b *builder) Missing() ([]string, error) {
	if b.skip {
		return nil, nil
	}
	all, err := images.List(b.options)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, s := range all {
		if !s.Current && !s.Asked && !(s.Later && b.options.First) {
			missing = append(missing, s.Name)
		}
	}
	return missing, nil
}

// ensureAsked builds those of the entries that are asked for which are to be built.
func (b *builder) ensureAsked(ctx context.Context) error {
	all, err := images.List(b.options)
	if err != nil {
		return err
	}
	current := func(name string) bool {
		return slices.ContainsFunc(all, func(s images.Status) bool { return s.Name == name && s.Current })
	}
	b.options.Only = slices.DeleteFunc(slices.Clone(b.options.Only), current)
	if len(b.options.Only) == 0 {
		return nil
	}
	return b.Ensure(ctx)
}

// Packages of Debian that builds need on this machine.
func (b *builder) Packages() []string { return images.DebianPackages() }

// Ensure builds; what the programs print goes to a file that stays if one fails.
func (b *builder) Ensure(ctx context.Context) error {
	path := filepath.Join(b.options.Cache, "build.log")
	if err := os.MkdirAll(b.options.Cache, 0o755); err != nil {
		return fmt.Errorf("create cache: %w", err)
	}
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer log.Close()
	options := b.options
	options.Log, options.Progress = log, b.report
	result, err := images.Ensure(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "images: %d built, %d cached %.1fs\n", len(result.Built), len(result.Cached), result.Seconds)
	// Two commands may have built at once.
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (b *builder) report(e images.Event) {
	if e.Phase == images.PhaseCached {
		return
	}
	fmt.Fprintf(os.Stderr, "images: %s %s (%d of %d) %.1fs\n", e.Name, e.Phase, e.Done, e.Total, e.Seconds)
}

func (b *builder) Binaries() string   { return images.NodeBinaries(b.options.Cache) }
func (b *builder) KubeRouter() string { return images.NetworkPolicies(b.options.Cache) }
func (b *builder) Objects() string    { return images.ModelDir(b.options.Cache) }
func (b *builder) Registry() string   { return images.RegistryDir(b.options.Cache) }
func (b *builder) BuildLock() string  { return images.LockFile(b.options.Cache) }

func toolDir(cache string) string { return images.ToolDir(cache) }

func imagesCommand(s *settings) *cobra.Command {
	var keepCaches, missing bool
	var output string
	cmd := &cobra.Command{
		Use:   "images [--missing | NAME...]",
		Short: "List images and tools, build what is missing, or build the named ones anew",
		Example: "  sealed images -o json\n" +
			"  sealed images --missing\n" +
			"  sealed images argocd gitea",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			repo, err := s.repository()
			if err != nil {
				return err
			}
			b := newBuilder(images.Options{Cache: s.cache, Repo: repo, KeepCaches: keepCaches, Only: args})
			switch {
			case missing && len(args) > 0:
				return errors.New("--missing builds everything that is not there: name no images with it")
			case missing:
				if left, err := b.Missing(); err != nil || len(left) == 0 {
					return err
				}
				return b.Ensure(cmd.Context())
			case len(args) > 0:
				return rebuild(cmd.Context(), b)
			}
			all, err := images.List(b.options)
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), all)
			}
			return printImages(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&keepCaches, "keep-caches", false, "keep downloads and compiled packages of builds")
	cmd.Flags().BoolVar(&missing, "missing", false, "build what is not there or was made by an older recipe")
	outputFlag(cmd, &output)
	return cmd
}

// rebuild the named ones; nodes that run have the old images unpacked.
func rebuild(ctx context.Context, b *builder) error {
	if err := b.Ensure(ctx); err != nil {
		return err
	}
	all, err := node.List(b.options.Cache)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Running() {
			say("instance %s runs with what it has pulled: `sealed down` and `up` give it the new images", i.Name)
		}
	}
	return nil
}

func printImages(to io.Writer, all []images.Status) error {
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tIMAGE\tMB\tBUILT IN\tSTATE")
	for _, s := range all {
		state, built := "current", fmt.Sprintf("%.0fs", s.Seconds)
		if !s.Current {
			state = "missing"
			if s.Seconds > 0 {
				state = "outdated"
			}
		}
		if s.Seconds == 0 {
			built = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\t%s\n", s.Name, s.Image, float64(s.Size)/1e6, built, state)
	}
	return w.Flush()
}
