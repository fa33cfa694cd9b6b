package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/engine"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
)

// engineOptions are those of the instance's Docker engine.
func (s *settings) engineOptions() (engine.Options, error) {
	if err := node.CheckName(s.name); err != nil {
		return engine.Options{}, err
	}
	return engine.Options{
		Name: "neuroscale-docker-" + s.name, Dir: filepath.Join(s.cache, "engines", s.name),
		Programs: filepath.Join(s.cache, "tools", "docker"),
	}, nil
}

func engineCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Run Debian's Docker engine in namespaces of its own, until interrupted",
		Long: `Run Debian's Docker engine in namespaces of its own, until interrupted. What it
publishes on loopback is in its own network: the second line it prints is how to get
there. Nothing of it is left at the end.`,
		Example: "  sealed engine --name try",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := s.engineOptions()
			if err != nil {
				return err
			}
			if err := engine.Docker.Fetch(cmd.Context(), o.Programs); err != nil {
				return err
			}
			return engine.Run(cmd.Context(), o, []string{"engine-init", "--name", s.name}, func() error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "export DOCKER_HOST=%s\nnsenter --net=%s\n", o.Host(), o.Network())
				return err
			})
		},
	}
	s.nameFlag(cmd)
	return cmd
}

// engineInitCommand is what `engine` starts in new namespaces; it is for nobody else.
func engineInitCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "engine-init",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := s.engineOptions()
			if err != nil {
				return err
			}
			return engine.Init(cmd.Context(), o)
		},
	}
	s.nameFlag(cmd)
	return cmd
}

// engineRuntimeCommand is called by the engine as its container runtime.
func engineRuntimeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "engine-runtime",
		Hidden:             true,
		DisableFlagParsing: true,
		PersistentPreRunE:  func(*cobra.Command, []string) error { return nil },
		RunE:               func(_ *cobra.Command, args []string) error { return engine.Runtime(args) },
	}
}
