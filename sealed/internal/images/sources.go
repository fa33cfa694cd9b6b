package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// readSources hashes what recipes compile from this repository: its go.mod and
// go.sum, and of the main package and all packages of the repository that it
// imports every file that may go into it. Neither the go command nor any module is
// needed, because this is asked also when nothing is built.
func (t *Table) readSources(repo string) error {
	for _, r := range t.all() {
		var err error
		switch {
		case r.Go != nil && r.Go.Ours:
			r.sources, err = hashSources(os.DirFS(repo), r.Go.Packages)
		case r.Backstage != nil:
			r.sources, err = hashApp(os.DirFS(repo), r.Backstage.Folder)
		}
		if err != nil {
			return fmt.Errorf("%s: read its sources: %w", r.Name, err)
		}
	}
	return nil
}

// hashApp is the hash of all files an app is made from.
func hashApp(repo fs.FS, folder string) (string, error) {
	files, err := appFiles(repo, folder)
	if err != nil {
		return "", err
	}
	return hashFiles(repo, files)
}

func hashSources(repo fs.FS, mains map[string]string) (string, error) {
	mod, err := fs.ReadFile(repo, "go.mod")
	if err != nil {
		return "", err
	}
	module := modfile.ModulePath(mod)
	if module == "" {
		return "", errors.New("go.mod names no module")
	}
	files := []string{"go.mod", "go.sum"}
	seen := map[string]bool{}
	var visit func(folder string) error
	visit = func(folder string) error {
		if seen[folder] {
			return nil
		}
		seen[folder] = true
		own, err := sourcesOf(repo, folder)
		if err != nil {
			return err
		}
		files = append(files, own...)
		for _, file := range own {
			if path.Dir(file) != folder || path.Ext(file) != ".go" {
				continue
			}
			imports, err := importsOf(repo, file)
			if err != nil {
				return err
			}
			for _, i := range imports {
				if to, ours := strings.CutPrefix(i, module+"/"); ours {
					if err := visit(to); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	for _, folder := range mains {
		if err := visit(folder); err != nil {
			return "", err
		}
	}
	return hashFiles(repo, files)
}

func hashFiles(repo fs.FS, files []string) (string, error) {
	slices.Sort(files)
	h := sha256.New()
	for _, file := range slices.Compact(files) {
		data, err := fs.ReadFile(repo, file)
		if err != nil {
			return "", err
		}
		if err := json.NewEncoder(h).Encode([]any{file, data}); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sourcesOf are the files of a package, and of folders below it, which it may
// embed. Tests are not compiled.
func sourcesOf(repo fs.FS, folder string) ([]string, error) {
	var files []string
	err := fs.WalkDir(repo, folder, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.Type().IsRegular() && !strings.HasSuffix(p, "_test.go"):
			files = append(files, p)
		}
		return nil
	})
	return files, err
}

func importsOf(repo fs.FS, file string) ([]string, error) {
	text, err := fs.ReadFile(repo, file)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Base(file), text, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, i := range parsed.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, name)
	}
	return list, nil
}
