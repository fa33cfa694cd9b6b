package ownimages

import (
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

// digest is of what a build is given: the Dockerfile, and every file in the folder that
// its .dockerignore leaves there, with its name, and whether it can be executed.
func digest(folder, dockerfile string) (string, error) {
	sum := sha256.New()
	if err := hash(sum, dockerfile, fs.FileMode(0)); err != nil {
		return "", err
	}
	ignored, err := ignorePatterns(filepath.Join(folder, ".dockerignore"))
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || name == "." {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(name)
		switch {
		case err != nil:
			return err
		case skip && d.IsDir() && !mayHold(ignored, name):
			return fs.SkipDir
		case skip, d.IsDir():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00", filepath.ToSlash(name))
		return hash(sum, path, info.Mode())
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// ignorePatterns of a file that may be missing.
func ignorePatterns(name string) (*patternmatcher.PatternMatcher, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return patternmatcher.New(patterns)
}

// mayHold is whether a pattern takes something in a folder that is ignored back.
func mayHold(ignored *patternmatcher.PatternMatcher, folder string) bool {
	for _, p := range ignored.Patterns() {
		if p.Exclusion() && strings.HasPrefix(p.String()+string(filepath.Separator), folder+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// hash adds a file, or where a link leads. How long it is goes first, so that no content
// looks like two files.
func hash(sum io.Writer, path string, mode fs.FileMode) error {
	if mode&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		fmt.Fprintf(sum, "link\x00%s\x00", to)
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%t\x00%d\x00", mode&0o111 != 0, len(content))
	_, err = sum.Write(content)
	return err
}
