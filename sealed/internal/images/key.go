package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"runtime"
)

// format is raised when the builder makes other bytes from the same recipe.
const format = 1

// keys returns for every recipe the hash of all that goes into it: the recipe
// with its inherited version and checksum, the wheels and files it uses, the
// layers below it, the tools it takes files from, the entry it is like, the sources of ours that it
// compiles, and Go's version.
func (t *Table) keys(goVersion string) (map[string]string, error) {
	keys := map[string]string{}
	for _, r := range t.all() {
		h := sha256.New()
		enc := json.NewEncoder(h)
		inputs := []any{format, runtime.GOARCH, r.reference, r}
		if r.sources != "" {
			inputs = append(inputs, r.sources)
		}
		if r.Debian != nil {
			inputs = append(inputs, t.Debian)
		}
		if r.Go != nil {
			inputs = append(inputs, goVersion)
		}
		if r.Go != nil && r.Go.Like != "" {
			inputs = append(inputs, keys[r.Go.Like])
		}
		if r.Go != nil && r.Go.PNPM != nil || r.Backstage != nil || len(r.NPMFiles) > 0 {
			inputs = append(inputs, t.Wheels[nodeWheel])
		}
		if r.Venv != nil {
			inputs = append(inputs, t.Wheels[uvWheel])
			for _, w := range r.Venv.Wheels {
				inputs = append(inputs, t.Wheels[w])
			}
		}
		for _, p := range r.paths() {
			if w, ok := r.WheelFiles[p]; ok {
				inputs = append(inputs, t.Wheels[w.Wheel])
			}
			if f, ok := r.NPMFiles[p]; ok {
				inputs = append(inputs, t.Packages[f.Package])
			}
			if f, ok := r.ToolFiles[p]; ok {
				inputs = append(inputs, keys[path.Dir(f)])
			}
		}
		for _, l := range r.Layers {
			inputs = append(inputs, keys[l])
		}
		for _, in := range inputs {
			if err := enc.Encode(in); err != nil {
				return nil, fmt.Errorf("hash recipe %s: %w", r.Name, err)
			}
		}
		for _, f := range r.recipeFiles() {
			err := fs.WalkDir(recipeFiles, path.Join("_recipes", f), func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := recipeFiles.ReadFile(p)
				if err != nil {
					return err
				}
				return enc.Encode([]any{p, data})
			})
			if err != nil {
				return nil, fmt.Errorf("hash recipe %s: %w", r.Name, err)
			}
		}
		keys[r.Name] = hex.EncodeToString(h.Sum(nil))
	}
	return keys, nil
}
