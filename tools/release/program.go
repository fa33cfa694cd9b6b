package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is a command of this repository for a platform.
type program struct {
	platform
	// name is the released one's, version its version.
	name, version string
	// source is its folder in the checkout, or empty for a file that was given.
	source string
	// file is where it is.
	file string
	// stamped has it know version and commit.
	stamped bool
}

// base is how files about it are called.
func (p program) base() string { return strings.Join([]string{p.name, p.version, p.os, p.arch}, "_") }

// programs are the command line for every platform, and what is in the images.
func (r *release) programs(pins *pins) (commandLine, inImages []program, err error) {
	for _, on := range platforms {
		p := program{platform: on, name: "neuroscale", version: r.version, source: "cmd/neuroscale", stamped: true}
		p.file = filepath.Join(r.out, "bin", p.base())
		commandLine = append(commandLine, p)
	}
	for _, i := range images {
		version := tag(pins.Images[i.name])
		for _, on := range i.platforms(r) {
			p := program{platform: on, name: i.name, version: version, source: i.source}
			p.file = filepath.Join(r.out, "bin", p.base())
			inImages = append(inImages, p)
			if i.kyverno {
				inImages = append(inImages, program{platform: on, name: "kubectl-kyverno", version: pins.Upstreams["kyverno"].Version, file: r.kyverno[on]})
			}
		}
		if len(i.platforms(r)) < len(linux) && !r.incomplete {
			return nil, nil, fmt.Errorf("the image %s has Kyverno's command line in it, which is not given for all of %v: add -kyverno FILE", i.name, linux)
		}
	}
	return commandLine, inImages, nil
}

// compile makes p of the checkout in a folder. Neither that folder nor the state of
// its Git is in the program.
func (r *release) compile(ctx context.Context, checkout string, p program) error {
	if p.source == "" {
		return nil
	}
	flags := "-s -w -buildid="
	if p.stamped {
		flags += " -X main.release=" + p.version + " -X main.commit=" + r.commit
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", p.file, "./"+p.source)
	cmd.Dir, cmd.Stdout, cmd.Stderr = checkout, r.log, r.log
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=")
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compile %s for %s: %w", p.name, p.platform, err)
	}
	r.say("%s for %s compiled in %.0fs", p.name, p.platform, time.Since(start).Seconds())
	return nil
}

// again compiles the host's command line from a copy of the checkout in another folder:
// the bytes have to be the same.
func (r *release) again(ctx context.Context, commandLine []program) error {
	i := slices.IndexFunc(commandLine, func(p program) bool { return p.platform == host })
	if i < 0 {
		return fmt.Errorf("nothing is made for %s that could be compared", host)
	}
	copied, err := os.MkdirTemp("", "release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(copied)
	list, err := r.output(ctx, "git", "-C", r.repo, "ls-files", "-z")
	if err != nil {
		return err
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(r.repo, name), filepath.Join(copied, name)); err != nil {
			return err
		}
	}
	second := commandLine[i]
	second.file = filepath.Join(copied, "bin", second.base())
	if err := r.compile(ctx, copied, second); err != nil {
		return err
	}
	was, err := sum(commandLine[i].file)
	if err != nil {
		return err
	}
	is, err := sum(second.file)
	if err != nil {
		return err
	}
	if was != is {
		return fmt.Errorf("%s for %s is not the same when compiled in another folder: %s and %s", second.name, second.platform, was, is)
	}
	r.say("%s for %s is the same bytes when compiled in another folder", second.name, second.platform)
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // deleted, and not yet committed
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// archive packs a program as people fetch it.
func (r *release) archive(p program) error {
	content, err := os.ReadFile(p.file)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	t := tar.NewWriter(z)
	// No time, no owner: the same program is the same archive.
	err = t.WriteHeader(&tar.Header{Name: p.name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0)})
	if err == nil {
		_, err = t.Write(content)
	}
	if err := errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("pack %s: %w", p.base(), err)
	}
	return os.WriteFile(filepath.Join(r.out, p.base()+".tar.gz"), packed.Bytes(), 0o644)
}

// says asks the host's command line who it is.
func (r *release) says(ctx context.Context, commandLine []program) error {
	i := slices.IndexFunc(commandLine, func(p program) bool { return p.platform == host })
	if i < 0 {
		r.say("the command line is not asked who it is: none is for %s", host)
		return nil
	}
	out, err := r.output(ctx, commandLine[i].file, "version", "-o", "json")
	if err != nil {
		return err
	}
	var said struct{ Version, Commit string }
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("what `neuroscale version` says is no JSON: %w", err)
	}
	if said.Version != r.version || said.Commit != r.commit {
		return fmt.Errorf("`neuroscale version` says %s of commit %s: it should be %s of %s", said.Version, said.Commit, r.version, r.commit)
	}
	r.say("the command line says that it is %s of %s", said.Version, said.Commit)
	return nil
}

// checksumsFile has the sums of all files that are published, as sha256sum writes and
// checks them.
const checksumsFile = "checksums.txt"

func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var lines strings.Builder
	files := 0
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		s, err := sum(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		files++
		fmt.Fprintf(&lines, "%s  %s\n", s, e.Name())
	}
	r.say("%d files and their sums are in %s", files, r.out)
	return os.WriteFile(filepath.Join(r.out, checksumsFile), []byte(lines.String()), 0o644)
}

func sum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
