package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/relocate"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) forgeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "forge",
		Short:   "Move tenants' repositories between Gitea and GitHub",
		Example: "  neuroscale forge move --to github --organization acme",
	}, a.forgeMoveCommand())
}

type moveFlags struct{ to, organization string }

func (a *app) forgeMoveCommand() *cobra.Command {
	var f moveFlags
	var format string
	cmd := &cobra.Command{
		Use:   "move",
		Short: "Copy tenants' repositories to the other forge, with their history",
		Long: "Copy every branch and tag of every tenant's repository to GitHub, or back to Gitea. What is not there yet is\n" +
			"made, private. A repository that has other content stays as it is. Nothing is taken away where it was, and it\n" +
			"may be done again: do that when nobody writes any more. Pull requests, and what was said on them, stay\n" +
			"behind. Then change neuroscale:forge.provider, write what is on GitHub into neuroscale:forge.github.adopt,\n" +
			"and run `neuroscale up`. The token in NEUROSCALE_GITHUB_TOKEN or GITHUB_TOKEN writes the repositories.",
		Example: "  neuroscale forge move --to github --organization acme\n" +
			"  neuroscale forge move --to gitea -o json",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			moved, err := a.moveForge(cmd.Context(), f)
			if moved != nil {
				var failed error
				if format == "json" {
					failed = writeJSON(a.out, moved)
				} else {
					failed = printMoved(a.out, moved)
				}
				err = cmp.Or(err, failed)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&f.to, "to", "", "where to: github or gitea (required)")
	cmd.Flags().StringVar(&f.organization, "organization", "", "who owns the repositories on GitHub (default: neuroscale:forge.organization)")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) moveForge(ctx context.Context, f moveFlags) ([]relocate.Result, error) {
	if !slices.Contains([]string{config.ForgeGitHub, config.ForgeGitea}, f.to) {
		return nil, fmt.Errorf("--to %q is neither %s nor %s", f.to, config.ForgeGitHub, config.ForgeGitea)
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	owner := cmp.Or(f.organization, cfg.Forge.Organization)
	if owner == config.Default().Forge.Organization {
		return nil, fmt.Errorf("neuroscale:forge.organization is %q: write --organization and who owns the repositories on GitHub", owner)
	}
	token, variables := stacks.GitHubTokenIn(a.getenv)
	if token == "" {
		return nil, fmt.Errorf("there is no token for GitHub: set %s to one that administers the repositories of %s", strings.Join(variables, " or "), owner)
	}
	out, err := a.outputs(ctx)
	if err != nil {
		return nil, err
	}
	hub, err := relocate.NewGitHub(a.getenv("GITHUB_API_URL"), owner, token)
	if err != nil {
		return nil, err
	}
	hub.Git = a.getenv("GITHUB_SERVER_URL")
	var from, to relocate.Forge = &relocate.Gitea{
		URL: out.ForgeURL, Authority: out.Authority, Organization: cfg.Forge.Organization,
		Username: out.ForgeUser, Password: out.ForgePassword, HTTP: predict.NewClient(30*time.Second, out.Authority),
	}, hub
	if f.to == config.ForgeGitea {
		from, to = to, from
	}
	return relocate.Move(ctx, from, to, cfg.Repositories())
}

func printMoved(w io.Writer, moved []relocate.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPOSITORY\tBRANCHES AND TAGS\tNEW\tPULL REQUESTS LEFT BEHIND")
	for _, m := range moved {
		left := "none"
		if len(m.Left) > 0 {
			left = strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Left), " ", ", "), "[]")
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", m.Repository, m.Refs, m.New, left)
	}
	return t.Flush()
}
