package images

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/dirhash"
)

// serveModule makes the only module that can be downloaded example.com/m v1.0.0,
// and returns its checksum.
func serveModule(t *testing.T, files map[string]string) (sum string) {
	t.Helper()
	proxy := t.TempDir()
	at := filepath.Join(proxy, "example.com/m/@v")
	require.NoError(t, writeFile(filepath.Join(at, "v1.0.0.info"), []byte(`{"Version":"v1.0.0"}`)))
	require.NoError(t, writeFile(filepath.Join(at, "v1.0.0.mod"), []byte(files["go.mod"])))
	file := filepath.Join(at, "v1.0.0.zip")
	archive, err := os.Create(file)
	require.NoError(t, err)
	z := zip.NewWriter(archive)
	for name, content := range files {
		w, err := z.Create("example.com/m@v1.0.0/" + name)
		require.NoError(t, err)
		_, err = w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.NoError(t, archive.Close())
	t.Setenv("GOPROXY", "file://"+proxy)
	t.Setenv("GONOSUMDB", "*")
	sum, err = dirhash.HashZip(file, dirhash.Hash1)
	require.NoError(t, err)
	return sum
}

func TestWrongChecksumOfAModuleIsRefused(t *testing.T) {
	serveModule(t, map[string]string{"go.mod": "module example.com/m\n"})
	b, _ := small(t, "pause")
	r := b.table.entry("helper")
	r.Module, r.Version, r.Sum = "example.com/m", "v1.0.0", "h1:pinned"
	_, err := build(t, b)
	require.ErrorContains(t, err, "example.com/m@v1.0.0 has checksum h1:")
	require.ErrorContains(t, err, "expected h1:pinned")
}

func TestSourcesOfAModuleLieBesideTheMainPackage(t *testing.T) {
	files := map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "go.sum": "", "data/broken.txt": "this is no Go"}
	sum := serveModule(t, files)
	b, _ := small(t, "pause")
	b.only = []string{"helper"}
	r := b.table.entry("helper")
	r.Module, r.Version, r.Sum = "example.com/m", "v1.0.0", sum
	r.Go.Sources = map[string]string{"words.txt": "data/broken.txt"}
	_, err := build(t, b)
	require.NoError(t, err)

	r.Go.Sources = map[string]string{"words.go": "data/broken.txt"}
	_, err = build(t, b)
	require.ErrorContains(t, err, "words.go:1:1", "the compiler must see it")

	r.Go.Sources = map[string]string{"words.txt": "data/none.txt"}
	_, err = build(t, b)
	require.ErrorContains(t, err, "source data/none.txt")
}

func TestOverlaysFilesAreInPlaceOfTheModulesOwn(t *testing.T) {
	sum := serveModule(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "main.go": "package main\n\nimport \"none\"\n", "rest.go": "package main\n"})
	b, _ := small(t, "pause")
	r := b.table.entry("helper")
	r.Go = &Go{Packages: r.Go.Packages, Main: "pause", Overlays: map[string]Overlay{"example.com/m": {Version: "v1.0.0", Sum: sum, Files: "pause"}}}
	src := t.TempDir()
	require.NoError(t, b.fetchGo(t.Context(), r, src, ""))
	overlaid := filepath.Join(src, "overlays", "example.com/m")
	require.FileExists(t, filepath.Join(overlaid, "rest.go"))
	out, err := exec.Command("go", "build", "-C", overlaid, "-o", filepath.Join(t.TempDir(), "main"), ".").CombinedOutput()
	require.NoError(t, err, string(out))
	edited, err := os.ReadFile(filepath.Join(src, "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(edited), "replace example.com/m => ./overlays/example.com/m")

	r.Go.Overlays["example.com/m"] = Overlay{Version: "v1.0.0", Sum: "h1:pinned", Files: "pause"}
	require.ErrorContains(t, b.fetchGo(t.Context(), r, t.TempDir(), ""), "expected h1:pinned")
}

func TestWhatAnOverlayLeavesOutIsNotCompiled(t *testing.T) {
	sum := serveModule(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "cloud/a.go": "package none\n", "cloud/b.go": "package none\n", "kept.go": "package main\n"})
	b, _ := small(t, "pause")
	r := b.table.entry("helper")
	overlay := Overlay{Version: "v1.0.0", Sum: sum, Files: "pause", Without: []string{"cloud/*.go"}}
	r.Go = &Go{Packages: r.Go.Packages, Main: "pause", Overlays: map[string]Overlay{"example.com/m": overlay}}
	src := t.TempDir()
	require.NoError(t, b.fetchGo(t.Context(), r, src, ""))
	overlaid := filepath.Join(src, "overlays", "example.com/m")
	require.NoFileExists(t, filepath.Join(overlaid, "cloud", "a.go"))
	require.NoFileExists(t, filepath.Join(overlaid, "cloud", "b.go"))
	require.FileExists(t, filepath.Join(overlaid, "kept.go"))

	overlay.Without = []string{"clouds/*.go"}
	r.Go.Overlays["example.com/m"] = overlay
	require.ErrorContains(t, b.fetchGo(t.Context(), r, t.TempDir(), ""), "nothing in the module is clouds/*.go", "upstream has moved it")
}

func TestAnOverlayOfTheRecipesOwnModuleIsOfItsVersion(t *testing.T) {
	r := &Recipe{Module: "example.com/m", Version: "v1.0.0", Sum: "h1:x", Go: &Go{Overlays: map[string]Overlay{"example.com/m": {Files: "pause"}, "example.com/n": {Files: "pause"}}}}
	require.NoError(t, r.inherit(&Upstreams{}))
	require.Equal(t, map[string]Overlay{"example.com/m": {Version: "v1.0.0", Sum: "h1:x", Files: "pause"}, "example.com/n": {Files: "pause"}}, r.Go.Overlays)
}

func TestWhatAnEntryIsLikeGivesItItsVersions(t *testing.T) {
	sum := serveModule(t, map[string]string{"go.mod": `module example.com/m

go 1.26

require (
	example.com/newer v1.3.0
	example.com/older v1.1.0
	example.com/staged v0.0.0
	example.com/unused v1.0.0
)

replace example.com/staged => ./staging/staged
`})
	b, _ := small(t, "pause")
	like := b.table.entry("small")
	like.Module, like.Version, like.Sum, like.Go.Published = "example.com/m", "v1.0.0", sum, true
	r := b.table.entry("helper")
	r.Go.Like = "small"
	src := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(src, "go.mod"), []byte(`module x

require (
	example.com/newer v1.2.0
	example.com/older v1.2.0
	example.com/staged v0.0.0-1
)
`), 0o644))
	require.NoError(t, b.liken(t.Context(), r, src))
	likened, err := os.ReadFile(filepath.Join(src, "go.mod"))
	require.NoError(t, err)
	require.Equal(t, `module x

require (
	example.com/newer v1.3.0
	example.com/older v1.1.0
	example.com/staged v0.0.0
	example.com/unused v1.0.0
)

exclude example.com/older v1.2.0
`, string(likened))
}
