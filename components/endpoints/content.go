package endpoints

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed all:empty
var empty embed.FS

// packEmpty archives the first content of a repository without endpoints: Argo CD
// needs a main branch to follow.
func packEmpty() ([]byte, error) {
	content, err := fs.Sub(empty, "empty")
	if err != nil {
		return nil, err
	}
	return pack(content, "")
}

// pack archives every file of fsys below the folder prefix: the same files are
// the same bytes.
func pack(fsys fs.FS, prefix string) ([]byte, error) {
	var buffer bytes.Buffer
	zip := gzip.NewWriter(&buffer)
	out := tar.NewWriter(zip)
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{
			Name: path.Join(prefix, name), Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR,
		}); err != nil {
			return err
		}
		_, err = out.Write(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// Names are those of all InferenceServices in fsys, sorted.
func Names(fsys fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(string(content), "\n---") {
			var object struct {
				Kind     string `json:"kind"`
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if object.Kind == "InferenceService" {
				names = append(names, object.Metadata.Name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}
