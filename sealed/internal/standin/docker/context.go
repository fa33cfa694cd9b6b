package docker

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// buildContext is what a build is given: what is in a folder and not ignored.
type buildContext struct {
	dir string
	// dockerfile is below dir; it is given whatever is ignored.
	dockerfile string
	ignored    *patternmatcher.PatternMatcher
}

// newBuildContext takes both paths as Docker's command line does: as seen from the
// working directory. A .dockerignore of the Dockerfile's own name goes before the
// folder's.
func newBuildContext(dir, dockerfile string) (*buildContext, error) {
	if info, err := os.Stat(dockerfile); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("there is no Dockerfile %q: its path is seen from the program's folder, not from the build's", dockerfile)
	}
	below, err := relative(dir, dockerfile)
	if err != nil {
		return nil, err
	}
	c := &buildContext{dir: dir, dockerfile: below}
	var patterns []string
	for _, name := range []string{dockerfile + ".dockerignore", filepath.Join(dir, ".dockerignore")} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		patterns, err = ignorefile.ReadAll(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		break
	}
	c.ignored, err = patternmatcher.New(patterns)
	return c, err
}

func relative(dir, file string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", err
	}
	below, err := filepath.Rel(dir, file)
	if err == nil && !filepath.IsLocal(below) {
		err = fmt.Errorf("the Dockerfile %s is outside of the build's folder %s, which the stand-in does not know", file, dir)
	}
	return below, err
}

// walk visits what is in it, in order.
func (c *buildContext) walk(visit func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.dir, path)
		if err != nil || name == "." {
			return err
		}
		ignored, err := c.ignored.MatchesOrParentMatches(name)
		if err != nil {
			return err
		}
		if ignored && name != c.dockerfile {
			if d.IsDir() && !c.mayHold(name) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(name), info)
	})
}

// mayHold is whether something in a folder that is ignored is not.
func (c *buildContext) mayHold(folder string) bool {
	if strings.HasPrefix(c.dockerfile, folder+string(filepath.Separator)) {
		return true
	}
	for _, p := range c.ignored.Patterns() {
		if p.Exclusion() && strings.HasPrefix(p.String()+string(filepath.Separator), folder+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// digest changes with every name, mode and content.
func (c *buildContext) digest() (string, error) {
	sum := sha256.New()
	err := c.walk(func(name string, info fs.FileInfo) error {
		if info.IsDir() {
			return nil
		}
		fmt.Fprintf(sum, "%s\x00%s\x00", name, info.Mode())
		path := filepath.Join(c.dir, name)
		if info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			fmt.Fprintf(sum, "%s\x00", to)
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		content := sha256.New()
		if err := copyFile(content, path); err != nil {
			return err
		}
		sum.Write(content.Sum(nil))
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// archive is what the engine is sent. Everything in it is root's.
func (c *buildContext) archive(to io.Writer) error {
	w := tar.NewWriter(to)
	err := c.walk(func(name string, info fs.FileInfo) error {
		path, link := filepath.Join(c.dir, name), ""
		if info.Mode()&fs.ModeSymlink != 0 {
			var err error
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		} else if !info.Mode().IsRegular() && !info.IsDir() {
			return nil
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
		if info.IsDir() {
			header.Name += "/"
		}
		if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return copyFile(w, path)
	})
	return errors.Join(err, w.Close())
}

func copyFile(to io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(to, file)
	return err
}
