// Package automation runs the Pulumi program of this repository through the
// Automation API: it finds the project, keeps its own copy of the settings
// next to the state so that a checkout is never written to, repairs what a
// killed run left behind and turns the engine's errors into sentences.
package automation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Project is a folder that holds a Pulumi.yaml.
type Project struct {
	// Root is the absolute path of that folder.
	Root string
	// Name is the project's name in Pulumi.yaml.
	Name string
	// Stacks are the names for which a Pulumi.<name>.yaml exists, sorted.
	Stacks []string
}

// FindProject walks up from dir ("" is the working directory) to the first
// folder with a Pulumi.yaml.
func FindProject(dir string) (*Project, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve the project folder %q: %w", dir, err)
	}
	if _, err := os.Stat(start); err != nil {
		return nil, fmt.Errorf("the project folder %s does not exist: pass the checkout with -C", start)
	}
	for root := start; ; root = filepath.Dir(root) {
		raw, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
		if err == nil {
			return readProject(root, raw)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read Pulumi.yaml: %w", err)
		}
		if root == filepath.Dir(root) {
			return nil, fmt.Errorf("no Pulumi.yaml in %s or above it: run inside the checkout or pass it with -C", start)
		}
	}
}

func readProject(root string, raw []byte) (*Project, error) {
	var head struct {
		Name string `json:"name"`
	}
	if err := yaml.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("%s is not YAML: %w", filepath.Join(root, "Pulumi.yaml"), err)
	}
	if head.Name == "" {
		return nil, fmt.Errorf("%s has no name: add `name: neuroscale`", filepath.Join(root, "Pulumi.yaml"))
	}
	files, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list stack files: %w", err)
	}
	p := &Project{Root: root, Name: head.Name}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml")
		if !strings.Contains(name, ".") { // Pulumi.cloud.example.yaml is a template, not a stack
			p.Stacks = append(p.Stacks, name)
		}
	}
	sort.Strings(p.Stacks)
	return p, nil
}

// StackFile is the settings file of a stack; a name without one is an error
// that lists the stacks there are.
func (p *Project) StackFile(stack string) (string, error) {
	for _, s := range p.Stacks {
		if s == stack {
			return filepath.Join(p.Root, "Pulumi."+stack+".yaml"), nil
		}
	}
	if len(p.Stacks) == 0 {
		return "", fmt.Errorf("stack %q has no settings: create Pulumi.%s.yaml", stack, stack)
	}
	return "", fmt.Errorf("no stack %q%s: the stacks here are %s; create Pulumi.%s.yaml for another one",
		stack, nearest.Hint(stack, p.Stacks), strings.Join(p.Stacks, ", "), stack)
}
