package main

import (
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/images"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/nodeimage"
)

// nodeContainerCommand is the entrypoint of the image that node-image makes.
func nodeContainerCommand(s *settings) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:    "node-container",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return node.Contain(cmd.Context(), node.Container{
				State: nodeimage.State, Repo: nodeimage.Repo, Name: s.name, Address: net.ParseIP(address),
				Authorities: filepath.Join(nodeimage.State, "authorities"),
			}, newBuilder(images.Options{Cache: nodeimage.Cache, Repo: nodeimage.Repo}))
		},
	}
	s.nameFlag(cmd)
	cmd.Flags().StringVar(&address, "address", "", "address of the container")
	return cmd
}

func nodeHealthCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "node-health",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return node.Healthy(cmd.Context(), nodeimage.State) },
	}
}

func nodeImageCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "node-image",
		Short: "Make the image of a node in a container, and load it into the Docker engine",
		Long: `Make the image of a node in a container, and load it into the Docker engine that
DOCKER_HOST names. It holds Debian's parts of a node and this program; Kubernetes'
programs and the images of pods are read from the cache, which the container has as a
read-only folder.`,
		Example: "  sealed node-image",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			repo, err := s.repository()
			if err != nil {
				return err
			}
			b := newBuilder(images.Options{Cache: s.cache, Repo: repo, Only: []string{nodeimage.Entry}})
			if err := b.ensureAsked(cmd.Context()); err != nil {
				return err
			}
			name, err := nodeimage.Load(cmd.Context(), s.cache, repo)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
			return err
		},
	}
}
