package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) kubeconfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the kubeconfig of the cluster the platform is on",
		Long: "Print the kubeconfig of the cluster the stack was brought up on, with everything in it. Whoever has it may do\n" +
			"everything there, so it is for a file that nobody else reads.",
		Example: "  neuroscale kubeconfig -s dev > ~/.kube/neuroscale",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := a.outputs(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, out.Kubeconfig)
			return err
		},
	}
}
