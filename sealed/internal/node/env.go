package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
)

// Variable of a shell's environment.
type Variable struct{ Name, Value string }

// Environment in which Pulumi and kubectl work on the instance. path is the
// PATH to extend.
func Environment(i *Instance, tools, path string) ([]Variable, error) {
	if _, err := os.Stat(i.Kubeconfig()); err != nil {
		return nil, fmt.Errorf("instance %s is not up: run `sealed up --name %s` first", i.Name, i.Name)
	}
	passphrase := i.Passphrase()
	// A node that an earlier version started runs on until the next `up`.
	if _, err := os.Stat(passphrase); err != nil {
		if _, err := os.Stat(i.formerPassphrase()); err == nil {
			passphrase = i.formerPassphrase()
		}
	}
	linked := plugins.Dir(i.cache)
	vars := []Variable{
		{"KUBECONFIG", i.Kubeconfig()},
		{"PULUMI_BACKEND_URL", "file://" + i.StateDir()},
		{"PULUMI_CONFIG_PASSPHRASE_FILE", passphrase},
		{"PULUMI_SKIP_UPDATE_CHECK", "true"},
	}
	if links, _ := os.ReadDir(linked); len(links) > 0 {
		vars = append(vars, Variable{"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true"})
	}
	parts := []string{linked, tools}
	for _, dir := range filepath.SplitList(path) {
		if dir != linked && dir != tools {
			parts = append(parts, dir)
		}
	}
	return append(vars, Variable{"PATH", strings.Join(parts, string(os.PathListSeparator))}), nil
}

// Exports are the variables as lines for a POSIX shell.
func Exports(vars []Variable) string {
	var text strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&text, "export %s='%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`))
	}
	return text.String()
}
