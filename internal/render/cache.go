package render

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// sources is this package's own text: what it does to a layer is one of the
// inputs that a cached result depends on.
//
//go:embed *.go
var sources embed.FS

// inputHash names everything a layer's base is made from: this program's render
// logic, the pins, and the layer's own files.
func inputHash(pins []byte, l *layer, own map[string][]byte) (string, error) {
	h := sha256.New()
	add := func(name string, data []byte) {
		fmt.Fprintf(h, "%s\x00%d\x00", name, len(data))
		h.Write(data)
	}
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
		add(e.Name(), data)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if strings.HasPrefix(m.Path, "sigs.k8s.io/") {
				add(m.Path, []byte(m.Version))
			}
		}
	}
	add(UpstreamFile, pins)
	add("layer", []byte(l.name))
	for _, name := range slices.Sorted(maps.Keys(own)) {
		add(name, own[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:24], nil
}

const cachedFile = "objects.json"

// cachedEntry is an entry in the cache: decoding an object's text again would
// take longer than reading both.
type cachedEntry struct {
	Object json.RawMessage `json:"object"`
	Text   string          `json:"text"`
}

// load reads a cached base: a line with the SHA-256 of the rest, then one entry
// a line. Anything that is not whole is treated as not there.
func load(cacheDir, key string) []entry {
	data, err := os.ReadFile(filepath.Join(cacheDir, key, cachedFile))
	if err != nil {
		return nil
	}
	sum, rest, found := bytes.Cut(data, []byte("\n"))
	if want := sha256.Sum256(rest); !found || string(sum) != hex.EncodeToString(want[:]) {
		return nil
	}
	var entries []entry
	for line := range bytes.Lines(rest) {
		var c cachedEntry
		if err := json.Unmarshal(line, &c); err != nil {
			return nil
		}
		object, err := decodeObject(c.Object)
		if err != nil || object == nil {
			return nil
		}
		entries = append(entries, entry{object, []byte(c.Text)})
	}
	return entries
}

// store writes a base into the cache, at once for other processes.
func store(cacheDir, key string, entries []entry) error {
	var rest bytes.Buffer
	e := json.NewEncoder(&rest)
	e.SetEscapeHTML(false)
	for _, one := range entries {
		object, err := json.Marshal(one.object)
		if err == nil {
			err = e.Encode(cachedEntry{object, string(one.text)})
		}
		if err != nil {
			return fmt.Errorf("cache a rendered layer: %w", err)
		}
	}
	folder := filepath.Join(cacheDir, key)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("cache a rendered layer: %w", err)
	}
	partial, err := os.CreateTemp(folder, ".partial-")
	if err != nil {
		return fmt.Errorf("cache a rendered layer: %w", err)
	}
	defer os.Remove(partial.Name())
	sum := sha256.Sum256(rest.Bytes())
	_, err = fmt.Fprintf(partial, "%s\n%s", hex.EncodeToString(sum[:]), rest.Bytes())
	if closeErr := partial.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(partial.Name(), filepath.Join(folder, cachedFile))
	}
	if err != nil {
		return fmt.Errorf("cache a rendered layer: %w", err)
	}
	return nil
}
