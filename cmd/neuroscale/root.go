package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/cluster"
	hub "github.com/neuroscale-platform/neuroscale/components/forge/github"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// app is what commands share; tests make one of their own.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	program  pulumi.RunFunc
	// terminal is whether err is one, askable whether in is one, screen whether out
	// is one.
	terminal, askable, screen bool

	dir, stack string
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "neuroscale",
		Short: "A self-service AI inference platform on any Kubernetes cluster",
		Example: "  neuroscale up\n" +
			"  neuroscale predict demo-iris-2\n" +
			"  neuroscale preview -s ci -o json",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	stack := a.getenv("NEUROSCALE_STACK")
	if stack == "" {
		stack = "ci"
	}
	root.PersistentFlags().StringVarP(&a.dir, "directory", "C", "", "folder in the checkout (default: the working directory)")
	root.PersistentFlags().StringVarP(&a.stack, "stack", "s", stack, "stack: a name with a Pulumi.<name>.yaml ($NEUROSCALE_STACK)")
	root.AddCommand(a.upCommand(), a.previewCommand(), a.destroyCommand(), a.verifyCommand(), a.doctorCommand(), a.statusCommand(), a.endpointsCommand(), a.costCommand(), a.topCommand(), a.forwardCommand(), a.predictCommand(),
		a.newCommand(), a.forgeCommand(), a.configCommand(), a.keysCommand(), a.passwordsCommand(), a.caCommand(), a.kubeconfigCommand(), a.guardCommand(), a.backupCommand(), a.restoreCommand(), a.renderCommand(),
		a.benchCommand(), a.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, c := range append(root.Commands(), root) {
		c.SetFlagErrorFunc(flagError)
	}
	onlyCommands(root)
	return root
}

// group is a command that does nothing but have others.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	onlyCommands(cmd)
	return cmd
}

// onlyCommands has a command refuse what is none of its own commands.
func onlyCommands(cmd *cobra.Command) {
	names := commandNames(cmd)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		called := strings.TrimPrefix(cmd.CommandPath()+" "+args[0], cmd.Root().Name()+" ")
		return fmt.Errorf("unknown command %q%s: there are %s", called, nearest.Hint(args[0], names), strings.Join(names, ", "))
	}
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	slices.Sort(names)
	return names
}

func flagError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
}

func (a *app) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	}))
}

// open finds the project and the stack; a wrong stack name ends here.
func (a *app) open(ctx context.Context, program pulumi.RunFunc) (*automation.Stack, error) {
	project, err := a.project()
	if err != nil {
		return nil, err
	}
	stack, err := automation.Open(ctx, automation.Options{
		Project: project, Stack: a.stack, Program: program, Log: a.log(), Getenv: a.getenv,
	})
	if err != nil {
		return nil, err
	}
	stack.Abandoned = func(ctx context.Context, token string, inputs map[string]any) error {
		return a.removeAbandoned(ctx, stack, token, inputs)
	}
	stack.Renewed = func(ctx context.Context) map[string]map[string]string {
		if cfg, err := a.config(); err != nil || !cfg.Forge.OnGitHub() {
			return nil
		}
		return map[string]map[string]string{"github": {"token": a.githubToken(ctx, stack)}}
	}
	return stack, nil
}

// githubToken is what the program takes: the setting's, or the environment's.
func (a *app) githubToken(ctx context.Context, stack *automation.Stack) string {
	fromEnvironment, _ := stacks.GitHubTokenIn(a.getenv)
	return cmp.Or(stack.Setting(ctx, stacks.GitHubToken), fromEnvironment)
}

// removeAbandoned removes what a killed up had begun to make where that is.
func (a *app) removeAbandoned(ctx context.Context, stack *automation.Stack, token string, inputs map[string]any) error {
	if !strings.HasPrefix(token, "github:") {
		name, _ := inputs["name"].(string)
		return cluster.RemoveAbandoned(ctx, token, name)
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	secret := a.githubToken(ctx, stack)
	c, err := github.NewClient(github.Access{Token: func() (string, error) { return secret, nil }})
	if err != nil {
		return err
	}
	return hub.RemoveAbandoned(ctx, c, cfg.Forge.Organization, token, inputs)
}

func (a *app) project() (*automation.Project, error) {
	project, err := automation.FindProject(a.dir)
	if err != nil {
		return nil, err
	}
	_, err = project.StackFile(a.stack)
	return project, err
}

// config reads and checks the stack's settings without Pulumi.
func (a *app) config() (*config.Config, error) {
	c, _, err := a.stackFile()
	return c, err
}

// stackFile is the stack's settings and the text they are in.
func (a *app) stackFile() (*config.Config, []byte, error) {
	project, err := a.project()
	if err != nil {
		return nil, nil, err
	}
	file, err := project.StackFile(a.stack)
	if err != nil {
		return nil, nil, err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read the settings of stack %s: %w", a.stack, err)
	}
	values, err := settings(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("Pulumi.%s.yaml is not YAML: %w", a.stack, err)
	}
	c, err := stacks.Config(values)
	if err != nil {
		return nil, nil, fmt.Errorf("Pulumi.%s.yaml: %w", a.stack, err)
	}
	return c, raw, nil
}

// settings are the configuration values of a stack file the way Pulumi hands
// them to a program: text as it is, everything else as JSON.
func settings(raw []byte) (map[string]string, error) {
	var file struct {
		Config map[string]any `json:"config"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for key, value := range file.Config {
		if text, ok := value.(string); ok {
			values[key] = text
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		values[key] = string(text)
	}
	return values, nil
}

// outputFlag adds -o with the given formats; the first is the default.
func outputFlag(cmd *cobra.Command, to *string, formats ...string) {
	cmd.Flags().StringVarP(to, "output", "o", formats[0], "output: "+strings.Join(formats, " or "))
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, *to) {
			return fmt.Errorf("-o %s is unknown: use %s", *to, strings.Join(formats, " or "))
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// exactArgs is cobra.ExactArgs as a sentence.
func exactArgs(what ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(what) {
			return nil
		}
		if len(what) == 0 {
			return fmt.Errorf("%s takes no arguments: remove %q", cmd.Name(), strings.Join(args, " "))
		}
		return fmt.Errorf("%s takes %d argument(s) (%s), got %d: see `%s --help`",
			cmd.Name(), len(what), strings.Join(what, " "), len(args), cmd.CommandPath())
	}
}
