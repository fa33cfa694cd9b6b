package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// DebianPackages are the packages of the host that building needs.
func DebianPackages() []string {
	return []string{"ca-certificates", "gcc", "libc6-dev", "python3", "python3-pip"}
}

// apt reads the host's sources with a state of its own, in which nothing is
// installed: what it would install is the closure of the packages asked for.
type apt struct {
	dir     string // lists, status, cache
	command command
}

// newApt fetches the package lists. Error: the host is not the release the
// table is written for, or its sources cannot be read.
func (b *builder) newApt(ctx context.Context) (*apt, error) {
	osRelease, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, fmt.Errorf("find out the Debian release: %w", err)
	}
	if !bytes.Contains(osRelease, []byte("VERSION_CODENAME="+b.table.Debian.Release)) {
		return nil, fmt.Errorf("images are made from Debian packages of %s, and this machine is another system: build on a %s machine", b.table.Debian.Release, b.table.Debian.Release)
	}
	a := &apt{dir: filepath.Join(b.build, "apt"), command: command{dir: b.build, env: []string{"DEBIAN_FRONTEND=noninteractive"}, log: b.log}}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	_, err = a.get(ctx, a.command, "update")
	return a, err
}

func (a *apt) get(ctx context.Context, c command, args ...string) ([]byte, error) {
	options := []string{
		"-q", "-o", "Dir::State::lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=true",
		"-o", "APT::Update::Error-Mode=any",
	}
	// Other vendors' sources of the host are none of ours.
	if f := "/etc/apt/sources.list.d/debian.sources"; exists(f) {
		options = append(options, "-o", "Dir::Etc::sourcelist="+f, "-o", "Dir::Etc::sourceparts=-")
	}
	return c.run(ctx, "apt-get", append(args, options...)...)
}

// closure is the packages and all they depend on: name to name=version.
func (a *apt) closure(ctx context.Context, packages []string) (map[string]string, error) {
	out, err := a.get(ctx, a.command, append([]string{"install", "--simulate"}, packages...)...)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for line := range strings.Lines(string(out)) {
		// Inst bash (5.2.15-2+b8 Debian:12.11/stable [amd64])
		f := strings.Fields(line)
		if len(f) > 2 && f[0] == "Inst" {
			set[f[1]] = f[1] + "=" + strings.TrimPrefix(f[2], "(")
		}
	}
	return set, nil
}

// packageSet is what the recipe's own layer holds.
func (b *builder) packageSet(ctx context.Context, a *apt, r *Recipe) (map[string]string, error) {
	set, err := a.closure(ctx, r.Debian.Packages)
	if err != nil {
		return nil, err
	}
	for p := range set {
		alone := r.Debian.Closure != nil && !*r.Debian.Closure && !slices.Contains(r.Debian.Packages, p)
		if alone || slices.Contains(r.Debian.Without, p) {
			delete(set, p)
		}
	}
	for _, name := range r.Layers {
		l := b.table.layer(name)
		if l.Debian == nil {
			continue
		}
		below, err := b.packageSet(ctx, a, l)
		if err != nil {
			return nil, err
		}
		for p := range below {
			delete(set, p)
		}
	}
	return set, nil
}

// fetchDebian downloads the recipe's packages into dir; apt checks them against
// the signed lists.
func (b *builder) fetchDebian(ctx context.Context, r *Recipe, dir string) error {
	a, err := b.apt()
	if err != nil {
		return err
	}
	set, err := b.packageSet(ctx, a, r)
	if err != nil {
		return err
	}
	list := make([]string, 0, len(set))
	for _, p := range set {
		list = append(list, p)
	}
	slices.Sort(list)
	c := a.command
	c.dir = dir
	_, err = a.get(ctx, c, append([]string{"download"}, list...)...)
	return err
}

// unpackDebian unpacks the packages in dir over root. Their scripts do not run.
func (b *builder) unpackDebian(ctx context.Context, dir, root string) error {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) == 0 {
		return errors.Join(err, fmt.Errorf("no packages in %s", dir))
	}
	for _, deb := range debs {
		if err := b.unpackDeb(ctx, deb, root); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
		// Scanners find out by these what an image holds.
		control, err := command{}.run(ctx, "dpkg-deb", "--field", deb)
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(filepath.Base(deb), "_")
		if err := writeFile(filepath.Join(root, "var/lib/dpkg/status.d", name), control); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) unpackDeb(ctx context.Context, deb, root string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = unpackTar(out, root, func(name string) bool {
		return slices.ContainsFunc(b.table.Debian.Drop, func(d string) bool { return name == d || strings.HasPrefix(name, d+"/") })
	})
	// The rest is padding; not reading it would end dpkg-deb by a broken pipe.
	_, copyErr := io.Copy(io.Discard, out)
	return errors.Join(err, copyErr, cmd.Wait())
}

// merged are the folders that Debian moved to /usr; packages name them both ways.
var merged = []string{"bin", "sbin", "lib", "lib64"}

func unpackTar(r io.Reader, root string, drop func(string) bool) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "./"))
		if first, _, _ := strings.Cut(name, "/"); slices.Contains(merged, first) {
			name = "usr/" + name
		}
		if name == "." || drop(name) {
			continue
		}
		if !fs.ValidPath(name) {
			return fmt.Errorf("bad path %q", h.Name)
		}
		if err := unpackEntry(t, h, root, filepath.Join(root, name)); err != nil {
			return err
		}
	}
}

func unpackEntry(t *tar.Reader, h *tar.Header, root, to string) error {
	// Without set-user-id bits: nothing in a container needs them.
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSticky)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		return os.Chmod(to, mode)
	case tar.TypeSymlink:
		return symlink(h.Linkname, to)
	case tar.TypeLink:
		from := path.Clean(strings.TrimPrefix(h.Linkname, "./"))
		if first, _, _ := strings.Cut(from, "/"); slices.Contains(merged, first) {
			from = "usr/" + from
		}
		return os.Link(filepath.Join(root, from), to)
	case tar.TypeReg:
		f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(f, t); err != nil {
			return err
		}
		return errors.Join(f.Chmod(mode), f.Close())
	}
	return fmt.Errorf("%s: entries of type %q are not expected in a package", h.Name, h.Typeflag)
}

func symlink(target, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, to)
}

// bundle joins the CA certificates into the one file everything reads.
func bundle(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "usr/share/ca-certificates/mozilla/*.crt"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("no CA certificates found in package ca-certificates"))
	}
	var all []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(append(all, bytes.TrimSpace(data)...), '\n')
	}
	return writeFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), all)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
