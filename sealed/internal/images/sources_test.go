package images

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestAnAppIsMadeAgainForWhatItIsMadeFromOnly(t *testing.T) {
	repo := func() fstest.MapFS {
		files := fstest.MapFS{}
		for _, name := range []string{
			"portal/package.json", "portal/yarn.lock", "portal/packages/app/src/App.tsx", "portal/packages/backend/src/a.test.ts",
			"portal/.yarn/plugins/p.cjs", "portal/node_modules/x/index.js", "portal/packages/app/dist/app.js", "portal/.yarn/install-state.gz",
			"portal/.yarn/cache/x.zip", "README.md",
		} {
			files[name] = &fstest.MapFile{Data: []byte(name)}
		}
		return files
	}
	before, err := hashApp(repo(), "portal")
	require.NoError(t, err)
	for name, changes := range map[string]bool{
		"portal/package.json": true, "portal/yarn.lock": true, "portal/packages/app/src/App.tsx": true, "portal/.yarn/plugins/p.cjs": true,
		// It is tested whenever it is made.
		"portal/packages/backend/src/a.test.ts": true,
		"portal/node_modules/x/index.js":        false, "portal/packages/app/dist/app.js": false, "portal/.yarn/install-state.gz": false,
		"portal/.yarn/cache/x.zip": false, "README.md": false,
	} {
		changed := repo()
		changed[name].Data = []byte("changed")
		after, err := hashApp(changed, "portal")
		require.NoError(t, err)
		require.Equal(t, changes, before != after, name)
	}
}

func TestOurImageIsMadeAgainForWhatGoesIntoItOnly(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	repo := func() fstest.MapFS {
		return fstest.MapFS{
			"go.mod": file("module example.com/us\n"), "go.sum": file(""),
			"cmd/door/main.go":       file("package main\nimport \"example.com/us/internal/a\"\nfunc main() { a.A() }\n"),
			"internal/a/a.go":        file("package a\nimport (\n\t\"fmt\"\n\t_ \"example.com/us/internal/b\"\n)\nfunc A() { fmt.Println() }\n"),
			"internal/a/a_test.go":   file("package a\n"),
			"internal/a/testdata/x":  file("x"),
			"internal/a/page/a.html": file("x"),
			"internal/b/b.go":        file("package b\n"),
			"internal/other/o.go":    file("package other\n"),
			"README.md":              file("x"),
		}
	}
	mains := map[string]string{"/door": "cmd/door"}
	before, err := hashSources(repo(), mains)
	require.NoError(t, err)
	for name, changes := range map[string]bool{
		"go.mod": true, "go.sum": true, "cmd/door/main.go": true, "internal/a/a.go": true, "internal/a/page/a.html": true, "internal/b/b.go": true,
		"internal/a/a_test.go": false, "internal/a/testdata/x": false, "internal/other/o.go": false, "README.md": false,
	} {
		changed := repo()
		changed[name].Data = append(changed[name].Data, "\n// more\n"...)
		after, err := hashSources(changed, mains)
		require.NoError(t, err)
		require.Equal(t, changes, before != after, name)
	}
}

// What the go command says goes into the program is the witness.
func TestAllThatIsCompiledIsHashed(t *testing.T) {
	recipe := realTable(t).entry("doorkeeper")
	folder, err := filepath.Abs(repository)
	require.NoError(t, err)
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,GoFiles,EmbedFiles", "./"+recipe.Go.Packages["/doorkeeper"])
	list.Dir = folder
	out, err := list.Output()
	require.NoError(t, err)
	whole, err := hashSources(os.DirFS(folder), recipe.Go.Packages)
	require.NoError(t, err)
	ours := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct {
			Dir                 string
			Standard            bool
			GoFiles, EmbedFiles []string
		}
		require.NoError(t, d.Decode(&p))
		below, inside := strings.CutPrefix(p.Dir, folder+"/")
		if p.Standard || !inside {
			continue
		}
		ours++
		files, err := sourcesOf(os.DirFS(folder), filepath.ToSlash(below))
		require.NoError(t, err)
		for _, f := range append(p.GoFiles, p.EmbedFiles...) {
			require.Contains(t, files, path.Join(below, f))
		}
	}
	require.GreaterOrEqual(t, ours, 3, "the command, its package and the keys")
	table := realTable(t)
	require.NoError(t, table.readSources(repository))
	require.Equal(t, whole, table.entry("doorkeeper").sources)
}
