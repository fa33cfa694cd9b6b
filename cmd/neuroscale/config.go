package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

type configReport struct {
	Stack    string           `json:"stack"`
	Settings []config.Setting `json:"settings"`
	// Environment is what no settings file says: where the state is and what opens it.
	Environment []config.Setting `json:"environment,omitempty"`
}

func (a *app) configCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "config [KEY]",
		Short: "Show the settings of the stack, defaults too, and where each came from",
		Example: "  neuroscale config\n" +
			"  neuroscale config serving.gateway\n" +
			"  neuroscale config -s dev -o json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("config takes at most one KEY, got %s: see `%s --help`", strings.Join(args, " "), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.settings()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				report.Environment, err = a.environment(cmd.Flags().Changed("stack"))
				if err != nil {
					return err
				}
			} else {
				if report.Settings, err = below(report.Settings, args[0]); err != nil {
					return err
				}
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			return a.printSettings(report)
		},
	}
	outputFlag(cmd, &format, "text", "json")
	cmd.AddCommand(&cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON schema of a Pulumi.STACK.yaml, for editors",
		Example: "  neuroscale config schema",
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err == nil {
				_, err = a.out.Write(schema)
			}
			return err
		},
	})
	return cmd
}

func (a *app) settings() (*configReport, error) {
	cfg, raw, err := a.stackFile()
	if err != nil {
		return nil, err
	}
	all, err := config.Settings(cfg, "Pulumi."+a.stack+".yaml", raw)
	if err != nil {
		return nil, err
	}
	if cfg.Cluster.Provider == config.ProviderExisting {
		a.fillCluster(cfg.Cluster, all)
	}
	return &configReport{Stack: a.stack, Settings: all}, nil
}

// fillCluster says which cluster is meant where the settings leave it to the
// environment. Without a kubeconfig it cannot be said, and it need not be.
func (a *app) fillCluster(c config.Cluster, all []config.Setting) {
	fill := func(name, value, source, at string) {
		for i, s := range all {
			if s.Name() == name && s.Value == "" {
				all[i].Value, all[i].Source, all[i].At = value, source, at
			}
		}
	}
	const variable = clientcmd.RecommendedConfigPathEnvVar
	if path := a.getenv(variable); path != "" {
		fill("cluster.kubeconfig", path, config.SourceEnvironment, "$"+variable)
	} else {
		fill("cluster.kubeconfig", filepath.Join(a.getenv("HOME"), clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName), config.SourceDefault, "")
	}
	target, err := kube.Load(kube.Source{Path: c.Kubeconfig, Context: c.Context, Getenv: a.getenv})
	if err != nil {
		return
	}
	fill("cluster.context", target.Context, config.SourceKubeconfig, target.Source)
	fill("cluster.address", target.Host, config.SourceKubeconfig, target.Source)
}

// below are the settings of key, which is one of them or an object that holds some.
func below(all []config.Setting, key string) ([]config.Setting, error) {
	found := slices.DeleteFunc(slices.Clone(all), func(s config.Setting) bool { return !s.Within(key) })
	if len(found) > 0 {
		return found, nil
	}
	known := map[string]bool{}
	for _, s := range all {
		for name := s.Name(); name != ""; name = name[:max(strings.LastIndexAny(name, ".["), 0)] {
			known[name] = true
		}
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	hint := nearest.Hint(strings.TrimPrefix(key, config.Namespace+":"), names)
	return nil, fmt.Errorf("there is no setting %q%s: `neuroscale config` shows them all", key, hint)
}

// hidden stands in place of a secret.
const hidden = "[secret]"

// environment is what the variables of the shell decide, chosen being whether the stack
// was named on the command line.
func (a *app) environment(chosen bool) ([]config.Setting, error) {
	home, err := automation.LocateHome(a.getenv)
	if err != nil {
		return nil, err
	}
	cache, err := a.renderCache()
	if err != nil {
		return nil, err
	}
	from := func(key, value string, variables ...string) config.Setting {
		for _, variable := range variables {
			if a.getenv(variable) != "" {
				return config.Setting{Key: key, Value: value, Source: config.SourceEnvironment, At: "$" + variable}
			}
		}
		return config.Setting{Key: key, Value: value, Source: config.SourceDefault}
	}
	stack := from("stack", a.stack, "NEUROSCALE_STACK")
	if chosen {
		stack.Source, stack.At = config.SourceFlag, "--stack"
	}
	backend := home.BackendURL
	if u, err := url.Parse(backend); err == nil {
		backend = u.Redacted()
	}
	passphrase := from("passphrase", home.PassphraseFile, "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
	if file := a.getenv("PULUMI_CONFIG_PASSPHRASE_FILE"); passphrase.At == "$PULUMI_CONFIG_PASSPHRASE_FILE" {
		passphrase.Value = file
	} else if passphrase.Source == config.SourceEnvironment {
		passphrase.Value = hidden
	}
	return []config.Setting{
		stack, from("state", backend, "PULUMI_BACKEND_URL"), passphrase, from("cache", filepath.Dir(cache), "NEUROSCALE_CACHE"),
	}, nil
}

func (a *app) printSettings(report *configReport) error {
	if err := a.printTable("KEY", report.Settings); err != nil || len(report.Environment) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	return a.printTable("ENVIRONMENT", report.Environment)
}

func (a *app) printTable(title string, all []config.Setting) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tFROM\tVALUE\n", title)
	for _, s := range all {
		from := s.Source
		if s.At != "" {
			from = s.At
		}
		value, ok := s.Value.(string)
		if !ok || value == "" {
			text, err := json.Marshal(s.Value)
			if err != nil {
				return err
			}
			value = string(text)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name(), from, value)
	}
	return t.Flush()
}
