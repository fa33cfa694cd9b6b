package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
	"golang.org/x/sys/unix"
)

// goEnv is the environment of every go command of a build.
func (b *builder) goEnv(r *Recipe) []string {
	env := []string{"GOTOOLCHAIN=local", "GOWORK=off", "GOOS=linux", "CGO_ENABLED=0"}
	if r.Go != nil && r.Go.Ours {
		// It is compiled again whenever it is changed, and so with the caches of
		// whoever changes it: those of a build are removed at its end.
		env = append(env, "GOFLAGS=-mod=readonly")
	} else {
		env = append(env, "GOFLAGS=-mod=mod", "GOMODCACHE="+filepath.Join(b.build, "mod"), "GOCACHE="+filepath.Join(b.build, "go"))
	}
	// Compilers live briefly: where there is memory, collecting less of it made a
	// cold build an eighth faster.
	if os.Getenv("GOGC") == "" && memory() >= plentyOfMemory {
		env = append(env, "GOGC=400")
	}
	if g := r.Go; g != nil && g.CGO {
		env = append(env, "CGO_ENABLED=1", "CGO_CFLAGS="+g.CFlags)
	}
	return env
}

// plentyOfMemory in bytes is enough for two compilers that collect no garbage.
const plentyOfMemory = 12 << 30

// memory of the machine in bytes; 0 if it does not say.
func memory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

// module downloads a module, checks it against its pinned sum and returns its
// folder, which is read-only.
func (b *builder) module(ctx context.Context, r *Recipe, name, version, sum string) (string, error) {
	c := command{dir: b.build, env: b.goEnv(r), log: b.log}
	out, err := c.run(ctx, "go", "mod", "download", "-json", name+"@"+version)
	if err != nil {
		return "", err
	}
	var m struct{ Dir, Sum, Error string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", name, err)
	}
	if m.Sum != sum {
		return "", fmt.Errorf("%s@%s has checksum %s, expected %s", name, version, m.Sum, sum)
	}
	return m.Dir, nil
}

// fetchGo prepares the module to build in and downloads what it imports.
func (b *builder) fetchGo(ctx context.Context, r *Recipe, src, mod string) error {
	var err error
	switch {
	case r.Go.Ours:
		src = b.repo
	case r.Go.InPlace:
		err = copyTree(os.DirFS(mod), ".", src)
	case r.Module == "":
		err = os.WriteFile(filepath.Join(src, "go.mod"), []byte("module sealed/"+r.Name+"\n\ngo 1.26\n"), 0o644)
	default:
		err = writeModule(r, src, mod)
	}
	if err != nil {
		return err
	}
	if r.Go.Like != "" {
		if err := b.liken(ctx, r, src); err != nil {
			return err
		}
	}
	if r.Go.Main != "" {
		if err := copyTree(recipeFiles, path.Join("_recipes", r.Go.Main), src); err != nil {
			return err
		}
	}
	for to, from := range r.Go.Sources {
		if err := copyTree(os.DirFS(mod), from, filepath.Join(src, to)); err != nil {
			return fmt.Errorf("source %s: %w", from, err)
		}
	}
	for module, o := range r.Go.Overlays {
		if err := b.overlay(ctx, r, src, module, o); err != nil {
			return err
		}
	}
	c := command{dir: src, env: b.goEnv(r), log: b.log}
	args := []string{"list", "-deps", "-tags", strings.Join(r.Go.Tags, ","), "-f", "{{with .Error}}{{.}}{{end}}"}
	if len(r.Go.Generate) > 0 {
		args = append(args, "-e") // what is generated is not there yet
	}
	if _, err := c.run(ctx, "go", append(args, r.packages()...)...); err != nil {
		return err
	}
	if r.Go.PNPM != nil {
		return b.fetchWeb(ctx, r.Go.PNPM, src)
	}
	return nil
}

// overlay makes the module in src import a copy of another one with files of the
// recipe over it.
func (b *builder) overlay(ctx context.Context, r *Recipe, src, module string, o Overlay) error {
	mod, err := b.module(ctx, r, module, o.Version, o.Sum)
	if err != nil {
		return err
	}
	to := filepath.Join("overlays", module)
	if err := copyTree(os.DirFS(mod), ".", filepath.Join(src, to)); err != nil {
		return err
	}
	if err := leaveOut(filepath.Join(src, to), o.Without); err != nil {
		return err
	}
	if err := copyTree(recipeFiles, path.Join("_recipes", o.Files), filepath.Join(src, to)); err != nil {
		return err
	}
	c := command{dir: src, env: b.goEnv(r), log: b.log}
	_, err = c.run(ctx, "go", "mod", "edit", "-replace", module+"=./"+to)
	return err
}

// leaveOut removes the files in dir that patterns match. One that matches none is an
// error: upstream has moved them.
func leaveOut(dir string, patterns []string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("nothing in the module is %s: look what upstream has instead", pattern)
		}
		for _, file := range files {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// liken gives the module in src the versions of the entry that it is like. What
// asks for a newer one is not heard.
func (b *builder) liken(ctx context.Context, r *Recipe, src string) error {
	like := b.table.entry(r.Go.Like)
	mod, err := b.module(ctx, r, like.Module, like.Version, like.Sum)
	if err != nil {
		return err
	}
	theirs, err := buildList(like, mod)
	if err != nil {
		return err
	}
	file := filepath.Join(src, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f, err := modfile.Parse(file, data, nil)
	if err != nil {
		return err
	}
	versions := map[string]string{}
	for _, ours := range f.Require {
		versions[ours.Mod.Path] = ours.Mod.Version
	}
	for _, t := range theirs.Require {
		name, version := t.Mod.Path, t.Mod.Version
		if ours, ok := versions[name]; ok && semver.Compare(ours, version) > 0 {
			err = f.AddExclude(name, ours)
		}
		if err := errors.Join(err, f.AddRequire(name, version)); err != nil {
			return err
		}
	}
	if data, err = f.Format(); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// writeModule writes a module whose build list is upstream's own: upstream's
// go.mod with upstream itself required. Replacements by folders do not exist
// outside upstream's repository.
func writeModule(r *Recipe, src, mod string) error {
	f, err := buildList(r, mod)
	if err != nil {
		return err
	}
	if err := f.AddRequire(r.Module, r.Version); err != nil {
		return err
	}
	f.Cleanup()
	data, err := f.Format()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(src, "go.mod"), data, 0o644); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(mod, "go.sum"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(src, "go.sum"), sums, 0o644)
}

// buildList is the go.mod of the recipe's module as it is for another one.
func buildList(r *Recipe, mod string) (*modfile.File, error) {
	data, err := os.ReadFile(filepath.Join(mod, "go.mod"))
	if err != nil {
		return nil, err
	}
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if err := f.AddModuleStmt("sealed/" + r.Name); err != nil {
		return nil, err
	}
	f.DropToolchainStmt()
	for _, rep := range slices.Clone(f.Replace) {
		if rep.New.Version != "" {
			continue
		}
		if r.Go.Published {
			if err := f.AddRequire(rep.Old.Path, "v0"+strings.TrimPrefix(r.Version, "v1")); err != nil {
				return nil, err
			}
		}
		if err := f.DropReplace(rep.Old.Path, rep.Old.Version); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// compile builds the recipe's main packages into root.
func (b *builder) compile(ctx context.Context, r *Recipe, src, root string) error {
	c := command{dir: src, env: b.goEnv(r), log: b.log}
	if r.Go.Ours {
		c.dir = b.repo
	}
	if len(r.Go.Generate) > 0 {
		g := command{dir: src, env: append(b.goEnv(r), "CGO_ENABLED=0"), log: b.log}
		args := []string{"generate", "-tags", strings.Join(r.Go.Tags, ",")}
		for _, p := range r.Go.Generate {
			args = append(args, "./"+p)
		}
		if _, err := g.run(ctx, "go", args...); err != nil {
			return err
		}
	}
	out, err := os.MkdirTemp(filepath.Dir(src), "bin")
	if err != nil {
		return err
	}
	target := out + "/"
	if len(r.Go.Packages) == 1 {
		target = filepath.Join(out, "one")
	}
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-tags", strings.Join(r.Go.Tags, ","), "-ldflags", r.ldflags(), "-o", target}, r.packages()...)
	if _, err := c.run(ctx, "go", args...); err != nil {
		return err
	}
	for dest, pkg := range r.Go.Packages {
		from := filepath.Join(out, path.Base(pkg))
		if len(r.Go.Packages) == 1 {
			from = target
		}
		to := filepath.Join(root, dest)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return nil
}

// packages are the import paths to build, sorted.
func (r *Recipe) packages() []string {
	var list []string
	for _, p := range r.Go.Packages {
		switch {
		case r.Go.Main != "":
			p = "."
		case r.Go.InPlace, r.Go.Ours:
			p = "./" + p
		default:
			p = path.Join(r.Module, p)
		}
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

func (r *Recipe) ldflags() string {
	flags := []string{"-s", "-w"}
	if r.Go.CGO {
		flags = append(flags, "-linkmode", "external", "-extldflags", "-static")
	}
	var defines []string
	for k, v := range r.Go.Define {
		defines = append(defines, "-X '"+k+"="+r.expand(v)+"'")
	}
	slices.Sort(defines)
	return strings.Join(append(flags, defines...), " ")
}

// copyTree copies the folder from of fsys to dir. Modules and embedded files
// carry no modes: what starts with "#!" is executable.
func copyTree(fsys fs.FS, from, dir string) error {
	return fs.WalkDir(fsys, from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(strings.TrimPrefix(p, from), "/"))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		return writeFile(to, data)
	})
}

func writeFile(file string, data []byte) error {
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(string(data[:min(2, len(data))]), "#!") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}
