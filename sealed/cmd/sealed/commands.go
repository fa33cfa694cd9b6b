package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/images"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
)

func upCommand(s *settings) *cobra.Command {
	var keepCaches, skipImages, all bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Build what is missing and bring the node up",
		Example: "  sealed up\n" +
			"  sealed up --name second --all-images",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			repo, err := s.repository()
			if err != nil {
				return err
			}
			options := node.Options{Cache: s.cache, Repo: repo, Name: s.name, Say: say}
			b := newBuilder(images.Options{Cache: s.cache, Repo: repo, KeepCaches: keepCaches, First: !all})
			b.skip = skipImages
			_, err = node.Bring(cmd.Context(), options, b)
			return err
		},
	}
	s.nameFlag(cmd)
	cmd.Flags().BoolVar(&keepCaches, "keep-caches", false, "keep downloads and compiled packages of image builds")
	cmd.Flags().BoolVar(&all, "all-images", false, "build also what the first prediction does not need, which `sealed images --missing` builds otherwise")
	cmd.Flags().BoolVar(&skipImages, "skip-images", false, "build nothing: run with the images the cache has")
	return cmd
}

func downCommand(s *settings) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the node and the cluster on it; unpacked images stay for the next start",
		Example: "  sealed down\n" +
			"  sealed down --name second --purge",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return node.Remove(cmd.Context(), node.Options{Cache: s.cache, Name: s.name, Say: say}, purge)
		},
	}
	s.nameFlag(cmd)
	cmd.Flags().BoolVar(&purge, "purge", false, "remove unpacked images and everything else of the instance too")
	return cmd
}

func statusCommand(s *settings) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the node is; exit code 0 only if it is up and ready",
		Example: "  sealed status\n" +
			"  sealed status --name second -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			i, err := s.load()
			if err != nil {
				return err
			}
			status, err := node.Observe(cmd.Context(), i)
			if err != nil {
				return err
			}
			if output == "json" {
				err = printJSON(cmd.OutOrStdout(), status)
			} else {
				err = printStatus(cmd.OutOrStdout(), status)
			}
			if err == nil && !status.Ready {
				err = fmt.Errorf("instance %s is not ready", s.name)
			}
			return err
		},
	}
	s.nameFlag(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func printStatus(to io.Writer, s node.Status) error {
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "instance\t%s\nstate\t%s\nnode\t%s, ready: %t\n", s.Name, s.State, s.Node, s.Ready)
	if s.Reason != "" {
		fmt.Fprintf(w, "reason\t%s\n", s.Reason)
	}
	if s.Addresses.Node != "" {
		fmt.Fprintf(w, "API server\t%s\nregistry\t%s\nobject store\t%s\n", s.Addresses.APIServer, s.Addresses.Registry, s.Addresses.ObjectStore)
	}
	for _, p := range s.Processes {
		pid := "not running"
		if p.PID != 0 {
			pid = fmt.Sprintf("pid %d", p.PID)
		}
		fmt.Fprintf(w, "%s\t%s\n", p.Name, pid)
	}
	for _, d := range s.Disk {
		fmt.Fprintf(w, "disk of %s\t%.1f MB\n", d.Folder, float64(d.Bytes)/1e6)
	}
	return w.Flush()
}

func logsCommand(s *settings) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [PROCESS]",
		Short: "Show what a process of the node printed, or all of them, or who changed what (audit)",
		Example: "  sealed logs\n" +
			"  sealed logs kubelet -f\n" +
			"  sealed logs audit",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, err := s.load()
			if err != nil {
				return err
			}
			process := ""
			if len(args) == 1 {
				process = args[0]
			}
			return node.Logs(cmd.Context(), i, process, follow, cmd.OutOrStdout())
		},
	}
	s.nameFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	return cmd
}

func envCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "env",
		Short:   "Print shell lines that point Pulumi and kubectl at the node",
		Example: `  eval "$(sealed env)"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := s.load()
			if err != nil {
				return err
			}
			vars, err := node.Environment(i, toolDir(s.cache), os.Getenv("PATH"))
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), node.Exports(vars))
			return err
		},
	}
	s.nameFlag(cmd)
	return cmd
}

// initCommand is what `up` starts in new namespaces; it is for nobody else.
func initCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "node-init",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return node.Init(cmd.Context(), s.cache, s.name)
		},
	}
	s.nameFlag(cmd)
	return cmd
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text or json")
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return errors.New("output " + fmt.Sprintf("%q", output) + " is unknown: use text or json")
	}
	return nil
}

func printJSON(to io.Writer, v any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
