package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Checkout is the root folder of the repository the test was built from.
func Checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no Pulumi.yaml above the test: run it inside the checkout")
}

// Project is a copy of the project's settings whose values a test may change.
type Project struct{ Dir string }

// CopyProject copies Pulumi*.yaml from one folder into another.
func CopyProject(from, to string) (Project, error) {
	files, err := filepath.Glob(filepath.Join(from, "Pulumi*.yaml"))
	if err != nil || len(files) == 0 {
		return Project{}, fmt.Errorf("no Pulumi*.yaml in %s (%v)", from, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return Project{}, fmt.Errorf("copy the project: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), raw, 0o600); err != nil {
			return Project{}, fmt.Errorf("copy the project: %w", err)
		}
	}
	return Project{Dir: to}, nil
}

// Set writes a value into the configuration of a stack, at a path such as
// neuroscale:serving.defaultResources.cpu. It returns a function that puts the
// file back as it was.
func (p Project) Set(stack, path string, value any) (restore func() error, err error) {
	file := filepath.Join(p.Dir, "Pulumi."+stack+".yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the settings of stack %s: %w", stack, err)
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal(before, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	at := settings
	steps := append([]string{"config"}, strings.Split(path, ".")...)
	for _, step := range steps[:len(steps)-1] {
		next, ok := at[step].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[step] = next
		}
		at = next
	}
	at[steps[len(steps)-1]] = value
	after, err := yaml.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return func() error { return os.WriteFile(file, before, 0o600) }, os.WriteFile(file, after, 0o600)
}
