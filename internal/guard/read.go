package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// file is one file of an endpoints' folder, from the disk or from Git.
type file struct {
	// name is the path as messages show it, with slashes.
	name string
	// endpoint is the folder that becomes one Argo CD Application.
	endpoint string
	mode     fs.FileMode
	data     []byte
}

// contents are what was found at the paths.
type contents struct {
	files     []string
	documents []*document
	findings  []Finding
}

func (c *contents) add(level Level, rule, file string, line int, format string, args ...any) {
	c.findings = append(c.findings, Finding{Rule: rule, Level: level, File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// applicationFiles change what Argo CD makes of a folder, so that it would no
// longer be what was judged here.
func applicationFile(base string) string {
	switch {
	case slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, base):
		return "makes Argo CD build the folder with kustomize: endpoints are plain manifests, commit what `kustomize build` prints"
	case strings.HasSuffix(base, "Chart.yaml"):
		return "makes Argo CD render the folder as a Helm chart: endpoints are plain manifests, commit what `helm template` prints"
	case strings.HasSuffix(base, ".jsonnet"), strings.HasSuffix(base, ".libsonnet"):
		return "is a program that Argo CD would run: endpoints are plain manifests, commit what `jsonnet` prints"
	case strings.HasPrefix(base, ".argocd-source"):
		return "overrides how Argo CD reads the folder: remove it"
	}
	return ""
}

func isManifest(base string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(base))
}

// mistakable is whether somebody may think that the file is read.
func mistakable(base string) bool {
	lower := strings.ToLower(base)
	return strings.Contains(lower, ".yaml") || strings.Contains(lower, ".yml") || strings.Contains(lower, ".json")
}

// skipMarker makes Argo CD leave a file out.
var skipMarker = []byte("+argocd:skip-file-rendering")

// read turns files into documents.
func read(files []file) *contents {
	c := &contents{}
	for _, f := range files {
		base := path.Base(f.name)
		if f.mode&fs.ModeSymlink != 0 {
			c.add(Error, RuleRead, f.name, 0, "is a symbolic link: put the file itself there")
			continue
		}
		if why := applicationFile(base); why != "" {
			c.add(Error, RuleRead, f.name, 0, "%s", why)
			continue
		}
		if !isManifest(base) {
			if mistakable(base) {
				c.add(Note, RuleRead, f.name, 0, "is not read, here or by Argo CD: only .yaml, .yml and .json are")
			}
			continue
		}
		if !f.mode.IsRegular() {
			c.add(Error, RuleRead, f.name, 0, "is no regular file: put a file there")
			continue
		}
		if bytes.Contains(f.data, skipMarker) {
			c.add(Error, RuleRead, f.name, 0, "has the marker %s, with which Argo CD leaves the file out: remove the marker or the file", skipMarker)
		}
		c.files = append(c.files, f.name)
		documents, problems := parse(f.name, f.data)
		for _, d := range documents {
			d.endpoint = f.endpoint
		}
		c.documents = append(c.documents, documents...)
		for _, p := range problems {
			c.add(Error, RuleRead, f.name, p.line, "%s", p.text)
		}
	}
	return c
}

// onDisk lists what is at the paths, each file once. A path that is not there is
// a finding.
func onDisk(paths []string) ([]file, []Finding) {
	var files []file
	c := &contents{}
	seen := map[string]bool{}
	for _, root := range paths {
		found, before := false, len(c.findings)
		walkErr := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				c.add(Error, RuleRead, filepath.ToSlash(p), 0, "cannot be read: %v", reason(err))
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() {
				if d.Name() == ".git" {
					return fs.SkipDir
				}
				return nil
			}
			found = true
			absolute, err := filepath.Abs(p)
			if err != nil {
				return err
			}
			if seen[absolute] {
				return nil
			}
			seen[absolute] = true
			f := file{name: filepath.ToSlash(filepath.Clean(p)), mode: d.Type(), endpoint: endpointOf(root, p)}
			if isManifest(d.Name()) && d.Type().IsRegular() {
				if f.data, err = os.ReadFile(p); err != nil {
					c.add(Error, RuleRead, f.name, 0, "cannot be read: %v", reason(err))
					return nil
				}
			}
			files = append(files, f)
			return nil
		})
		switch {
		case walkErr != nil:
			c.add(Error, RuleRead, filepath.ToSlash(root), 0, "cannot be read: %v", reason(walkErr))
		case !found && len(c.findings) == before:
			c.add(Error, RuleRead, filepath.ToSlash(root), 0, "holds no file: correct the path")
		}
	}
	return files, c.findings
}

// reason is an error without the path in it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// appsFolder is where the folders of endpoints are in their repository.
const appsFolder = "apps"

// endpointOf is the folder below apps that the file is in; without an apps
// folder in the path, the first folder below root.
func endpointOf(root, name string) string {
	absoluteRoot, err := filepath.Abs(root)
	if err != nil {
		return filepath.Base(filepath.Dir(name))
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return filepath.Base(filepath.Dir(name))
	}
	parts := strings.Split(filepath.ToSlash(absolute), "/")
	for i := len(parts) - 3; i >= 0; i-- {
		if parts[i] == appsFolder {
			return parts[i+1]
		}
	}
	below, err := filepath.Rel(absoluteRoot, absolute)
	first, _, deeper := strings.Cut(filepath.ToSlash(below), "/")
	if err == nil && deeper {
		return first
	}
	return filepath.Base(filepath.Dir(absolute))
}
