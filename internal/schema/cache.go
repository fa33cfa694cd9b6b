package schema

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sources is this package's own text: what it makes of an upstream's schema is
// one of the inputs that a cached result depends on.
//
//go:embed *.go
var sources embed.FS

// cacheKey names schemas by everything they are made from.
func cacheKey(inputs ...string) (string, error) {
	h := sha256.New()
	entries, err := fs.ReadDir(sources, ".")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		data, err := sources.ReadFile(e.Name())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\x00%d\x00", e.Name(), len(data))
		h.Write(data)
	}
	for _, input := range inputs {
		fmt.Fprintf(h, "%d\x00%s", len(input), input)
	}
	return hex.EncodeToString(h.Sum(nil))[:24], nil
}

const indexFile = "index.json"

// indexed is a kind in the index of a cache folder.
type indexed struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	File       string `json:"file"`
	SHA256     string `json:"sha256"`
}

// load reads the index of a folder: a line with the SHA-256 of the rest, then
// the kinds. If it or one of the files it names is not whole, all of them are
// treated as not there.
func load(folder string) []indexed {
	data, err := os.ReadFile(filepath.Join(folder, indexFile))
	if err != nil {
		return nil
	}
	sum, rest, found := bytes.Cut(data, []byte("\n"))
	if !found || string(sum) != digest(rest) {
		return nil
	}
	var all []indexed
	if err := json.Unmarshal(rest, &all); err != nil {
		return nil
	}
	for _, k := range all {
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(k.File)))
		if err != nil || digest(data) != k.SHA256 {
			return nil
		}
	}
	return all
}

// store writes a file for each kind and then the index, each at once for other
// processes, which would write the same bytes.
func store(folder string, kinds []kind) ([]indexed, error) {
	all := make([]indexed, 0, len(kinds))
	for _, k := range kinds {
		data, err := json.Marshal(k.schema)
		if err == nil {
			err = write(filepath.Join(folder, filepath.FromSlash(k.file())), data)
		}
		if err != nil {
			return nil, fmt.Errorf("cache the schema of %s %s: %w", k.apiVersion, k.name, err)
		}
		all = append(all, indexed{k.apiVersion, k.name, k.file(), digest(data)})
	}
	rest, err := json.Marshal(all)
	if err == nil {
		err = write(filepath.Join(folder, indexFile), []byte(digest(rest)+"\n"+string(rest)))
	}
	if err != nil {
		return nil, fmt.Errorf("cache the index of the schemas: %w", err)
	}
	return all, nil
}

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(file), ".partial-")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(data)
	if closeErr := partial.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(partial.Name(), file)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
