package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) passwordsCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "passwords",
		Short: "List the accounts that people sign in with, print a password, make new ones",
		Example: "  neuroscale passwords\n" +
			"  neuroscale passwords show data-scientist\n" +
			"  neuroscale passwords rotate data-scientist ops",
		RunE: func(*cobra.Command, []string) error {
			accounts, err := a.accounts()
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, accounts)
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ACCOUNT\tFOR")
			for _, account := range accounts {
				fmt.Fprintf(t, "%s\t%s\n", account.Name, account.For)
			}
			return t.Flush()
		},
	}
	cmd.AddCommand(a.showCommand(), a.rotateCommand())
	onlyCommands(cmd)
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ACCOUNT",
		Short:   "Print the password of an account, and nothing else",
		Example: "  neuroscale passwords show data-scientist",
		Args:    exactArgs("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.password(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, password)
			return err
		},
	}
}

// rotation is what `passwords rotate` prints as JSON.
type rotation struct {
	Stack   string   `json:"stack"`
	Rotated []string `json:"rotated"`
}

func (a *app) rotateCommand() *cobra.Command {
	var every bool
	var format string
	cmd := &cobra.Command{
		Use:   "rotate ACCOUNT...",
		Short: "Give accounts new passwords; the old ones end",
		Long: "Give accounts new passwords, by an `up` that makes them anew: it also brings up to date what else is not.\n\n" +
			"The passwords are not printed. The forge's server starts again for that of ops.",
		Example: "  neuroscale passwords rotate data-scientist\n" +
			"  neuroscale passwords rotate --all -o json",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case every && len(args) > 0:
				return fmt.Errorf("rotate --all takes no ACCOUNT: remove %q or --all", strings.Join(args, " "))
			case !every && len(args) == 0:
				return errors.New("rotate needs at least one ACCOUNT, or --all: `neuroscale passwords` lists them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.rotate(cmd.Context(), args, every)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			_, err = fmt.Fprintf(a.out, "new passwords: %s; read one by `neuroscale passwords show ACCOUNT -s %s`\n",
				strings.Join(report.Rotated, ", "), a.stack)
			return err
		},
	}
	cmd.Flags().BoolVar(&every, "all", false, "all accounts")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

// accounts are those of the stack's settings.
func (a *app) accounts() ([]stacks.Account, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return stacks.Accounts(cfg), nil
}

// account finds one by its name.
func account(name string, all []stacks.Account) (stacks.Account, error) {
	var names []string
	for _, account := range all {
		if account.Name == name {
			return account, nil
		}
		names = append(names, account.Name)
	}
	return stacks.Account{}, fmt.Errorf("unknown account %q%s: there are %s", name, nearest.Hint(name, names), strings.Join(names, ", "))
}

func (a *app) password(ctx context.Context, name string) (string, error) {
	all, err := a.accounts()
	if err != nil {
		return "", err
	}
	wanted, err := account(name, all)
	if err != nil {
		return "", err
	}
	out, err := a.outputs(ctx)
	if err != nil {
		return "", err
	}
	password, there := wanted.Password(out)
	if !there {
		return "", a.notInForge(name)
	}
	return password, nil
}

func (a *app) notInForge(account string) error {
	return fmt.Errorf("account %s is in Pulumi.%s.yaml but not in the forge yet: run `neuroscale up -s %s` first", account, a.stack, a.stack)
}

func (a *app) rotate(ctx context.Context, names []string, every bool) (*rotation, error) {
	cfg, _, err := a.reachable(ctx)
	if err != nil {
		return nil, err
	}
	wanted := stacks.Accounts(cfg)
	if !every {
		all := wanted
		wanted = nil
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			found, err := account(name, all)
			if err != nil {
				return nil, err
			}
			wanted = append(wanted, found)
		}
	}
	tracker := progress.NewTracker(nil)
	stack, err := a.open(ctx, tracker.Count(a.program))
	if err != nil {
		return nil, err
	}
	if !stack.Exists() {
		return nil, fmt.Errorf("stack %s was never up: run `neuroscale up -s %s` first", a.stack, a.stack)
	}
	var replace []string
	for _, account := range wanted {
		replace = append(replace, account.Random()...)
	}
	var made []string
	stop := progress.Watch(ctx, tracker, a.renderer(), 200*time.Millisecond)
	_, err = stack.Up(ctx, automation.UpOptions{Replace: replace}, func(e apitype.EngineEvent) {
		tracker.Observe(e)
		if r := e.ResOutputsEvent; r != nil && slices.Contains(ofSomethingNew, r.Metadata.Op) {
			made = append(made, r.Metadata.URN)
		}
	})
	stop()
	if err != nil {
		return nil, err
	}
	report := &rotation{Stack: a.stack}
	for _, account := range wanted {
		// To the engine a pattern that fits nothing is no error.
		if !account.MadeAnew(made) {
			return nil, fmt.Errorf("account %s still has its old password: Pulumi replaced nothing of it", account.Name)
		}
		report.Rotated = append(report.Rotated, account.Name)
	}
	return report, nil
}

// ofSomethingNew are what the engine does to make a resource.
var ofSomethingNew = []apitype.OpType{apitype.OpCreate, apitype.OpCreateReplacement}
