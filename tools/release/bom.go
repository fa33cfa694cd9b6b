package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// bomSuffix is of the bill of materials of a program, as CycloneDX has it.
const bomSuffix = ".cdx.json"

// boms writes down of every program what it is made of, and looks whether that is what
// its own build information says.
func (r *release) boms(ctx context.Context, programs []program) error {
	var problems []error
	for _, p := range programs {
		if p.file == "" {
			continue
		}
		file := filepath.Join(r.out, p.base()+bomSuffix)
		_, err := r.output(ctx, "go", "-C", filepath.Join(r.repo, "tools"), "tool", "cyclonedx-gomod", "bin",
			"-json", "-noserial", "-notimestamp", "-std", "-version", p.version, "-output", file, p.file)
		if err != nil {
			return err
		}
		info, err := buildinfo.ReadFile(p.file)
		if err != nil {
			return fmt.Errorf("%s: %w", p.base(), err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := checkBOM(text, info, p.version); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	r.say("%d bills of materials name what the programs' build information does", len(programs))
	return errors.Join(problems...)
}

// bom is what is looked at of a bill of materials.
type bom struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Metadata struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	} `json:"dependencies"`
}

type component struct {
	Ref     string `json:"bom-ref"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// checkBOM is an error for each module of a program that its bill of materials leaves
// out, for each that it names besides, and for references that lead nowhere.
func checkBOM(text []byte, info *debug.BuildInfo, version string) error {
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if b.Format != "CycloneDX" || b.Spec == "" {
		complain("it is %q of version %q, not CycloneDX", b.Format, b.Spec)
	}
	if main := b.Metadata.Component; main.Name != info.Main.Path || main.Version != version {
		complain("it is about %s %s, not about %s %s", main.Name, main.Version, info.Main.Path, version)
	}
	named, refs := map[string]bool{}, map[string]bool{b.Metadata.Component.Ref: true}
	for _, c := range b.Components {
		refs[c.Ref] = true
		named[c.Name+"@"+c.Version] = true
		if !strings.HasPrefix(c.PURL, "pkg:golang/") {
			complain("%s %s has the package URL %q", c.Name, c.Version, c.PURL)
		}
	}
	// The standard library is a module to it, with Go's version.
	modules := map[string]bool{"std@" + info.GoVersion: true}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules[m.Path+"@"+m.Version] = true
	}
	for module := range modules {
		if !named[module] {
			complain("it leaves out %s", module)
		}
	}
	for component := range named {
		if !modules[component] {
			complain("it names %s, which is not in the program", component)
		}
	}
	for _, d := range b.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !refs[ref] {
				complain("its dependencies name %s, which is no component", ref)
			}
		}
	}
	return errors.Join(problems...)
}
