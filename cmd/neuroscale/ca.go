package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) caCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ca",
		Short: "Print the path of a file with the certificate authority to trust",
		Long: "Write the certificate of the authority that signed those of the platform's servers to a file, and print its path.\n\n" +
			"Git keeps it with a clone: `git clone -c http.sslCAInfo=\"$(neuroscale ca)\" URL`. Others are told of it by an\n" +
			"option: `curl --cacert \"$(neuroscale ca)\" URL`.",
		Example: "  neuroscale ca",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := a.authorityFile(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, file)
			return err
		},
	}
}

// authorityFile keeps the authority that is in the stack's outputs.
func (a *app) authorityFile(ctx context.Context) (string, error) {
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return "", err
	}
	raw, err := stack.Outputs(ctx)
	if err != nil {
		return "", err
	}
	out, err := stacks.DecodeOutputs(raw)
	if err != nil {
		return "", err
	}
	return stack.KeepAuthority(out.Authority)
}
