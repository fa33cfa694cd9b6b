package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

func TestLayerDependsOnNamesContentsAndModesOnly(t *testing.T) {
	tree := func(order []string) string {
		root := filepath.Join(t.TempDir(), "root")
		for _, f := range order {
			require.NoError(t, writeFile(filepath.Join(root, f), []byte("#!/bin/sh "+f)))
		}
		require.NoError(t, os.Symlink("b", filepath.Join(root, "link")))
		require.NoError(t, os.Link(filepath.Join(root, "b"), filepath.Join(root, "hard")))
		require.NoError(t, os.MkdirAll(filepath.Join(root, "tmp"), 0o755))
		require.NoError(t, os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky))
		return root
	}
	a, fileA := tree([]string{"b", "dir/x", "a"}), filepath.Join(t.TempDir(), "a")
	c, fileC := tree([]string{"a", "b", "dir/x"}), filepath.Join(t.TempDir(), "c")
	require.NoError(t, os.Chtimes(filepath.Join(c, "a"), testTime, testTime))
	owners := map[string][2]int{"/dir": {1000, 1001}}
	first, err := pack(a, fileA, owners)
	require.NoError(t, err)
	second, err := pack(c, fileC, owners)
	require.NoError(t, err)
	require.Equal(t, first, second)

	layer := storedLayer{first, func() (io.ReadCloser, error) { return os.Open(fileA) }}
	r, err := layer.Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	var got []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.Zero(t, h.ModTime.Unix(), h.Name)
		got = append(got, fmt.Sprintf("%s %c %o %d:%d %s", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname))
	}
	require.Equal(t, []string{
		"a 0 755 0:0 ", "b 0 755 0:0 ", "dir/ 5 755 1000:1001 ", "dir/x 0 755 0:0 ",
		"hard 1 755 0:0 b", "link 2 777 0:0 b", "tmp/ 5 1777 0:0 ",
	}, got)
}

// small is a table with one Go image of our own and a tool it takes a file from.
func small(t *testing.T, main string) (*builder, string) {
	t.Helper()
	cache := t.TempDir()
	b, err := newBuilder(t.Context(), Options{Cache: cache, Repo: repository, KeepCaches: true})
	require.NoError(t, err)
	t.Cleanup(b.close)
	table, err := loadTable([]byte(`
layers:
  - name: ground
    accounts: [{name: app, id: 1000, home: /app}]
    dirs: {/app: {owner: "1000:1000"}}
entries:
  - name: helper
    tool: [hold]
    go: {main: pause, packages: {hold: "."}}
  - name: small
    image: pause
    layers: [ground]
    go: {main: `+main+`, packages: {/small: "."}}
    tool-files: {/hold: helper/hold}
    user: "1000"
    entrypoint: [/small]
`), []byte("images: {pause: registry.example/group/small:v1}"))
	require.NoError(t, err)
	shareGoCache(t, cache)
	b.table = table
	b.keys, err = table.keys("go1.26.0")
	require.NoError(t, err)
	return b, cache
}

// shareGoCache saves compiling Go's library in every test.
func shareGoCache(t *testing.T, cache string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	dir := filepath.Join(cache, "build", "go")
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Symlink(strings.TrimSpace(string(out)), dir))
}

func build(t *testing.T, b *builder) ([]string, error) {
	t.Helper()
	plan, err := b.plan(t.Context())
	require.NoError(t, err)
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	return names, b.execute(t.Context(), plan)
}

func TestSameRecipeGivesTheSameDigestAnywhere(t *testing.T) {
	var digests []string
	for _, compiled := range []bool{true, false} {
		b, cache := small(t, "pause")
		if !compiled {
			dir := filepath.Join(b.build, "go")
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.Mkdir(dir, 0o755))
		}
		names, err := build(t, b)
		require.NoError(t, err)
		require.Equal(t, []string{"helper", "ground", "small"}, names)
		rec, err := b.record(b.table.entry("small"))
		require.NoError(t, err)
		digests = append(digests, rec.Digest)

		ref, err := b.store.tag("registry.example/group/small:v1")
		require.NoError(t, err)
		img, err := remote.Image(ref)
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		require.Equal(t, "1000", config.Config.User)
		require.Len(t, config.RootFS.DiffIDs, 2)
		require.FileExists(t, filepath.Join(ToolDir(cache), "hold"))
	}
	require.Equal(t, digests[0], digests[1])
}

func TestOnlyWhatIsMissingIsBuilt(t *testing.T) {
	b, cache := small(t, "pause")
	_, err := build(t, b)
	require.NoError(t, err)
	again := func() []string {
		t.Helper()
		names, err := build(t, b)
		require.NoError(t, err)
		return names
	}
	require.Empty(t, again(), "nothing changed")

	require.NoError(t, os.RemoveAll(filepath.Join(RegistryDir(cache), "docker/registry/v2/repositories/group")))
	b.store = reopen(t, cache)
	require.Equal(t, []string{"small"}, again(), "the registry lost the image")

	rec, err := b.record(b.table.layer("ground"))
	require.NoError(t, err)
	blobs := filepath.Join(RegistryDir(cache), "docker/registry/v2/blobs/sha256")
	require.NoError(t, os.RemoveAll(filepath.Join(blobs, rec.Layer.Digest.Hex[:2], rec.Layer.Digest.Hex)))
	b.store = reopen(t, cache)
	require.Equal(t, []string{"ground", "small"}, again(), "the registry lost a layer")

	require.NoError(t, os.RemoveAll(b.toolDir(b.table.entry("helper"))))
	require.Equal(t, []string{"helper"}, again(), "the tool's folder is gone")

	b.only = []string{"small"}
	require.Equal(t, []string{"small"}, again(), "asked for by name")
	b.only = []string{"smal"}
	_, err = b.plan(t.Context())
	require.ErrorContains(t, err, `there is no image "smal"; the nearest is "small"`)
	b.only = nil

	b.keys["small"] = strings.Repeat("0", 64)
	require.Equal(t, []string{"small"}, again(), "the recipe changed")
}

// reopen forgets what the registry keeps in memory, as a restart does.
func reopen(t *testing.T, cache string) *store {
	t.Helper()
	s, err := openStore(t.Context(), RegistryDir(cache))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.close() })
	return s
}

func TestFailedBuildNamesTheImageAndShowsTheLastLines(t *testing.T) {
	b, _ := small(t, "nginx") // holds no Go files
	_, err := build(t, b)
	require.ErrorContains(t, err, "of image small failed")
	require.ErrorContains(t, err, "its last lines:\n")
	require.ErrorContains(t, err, "no Go files")

	b.table.entry("small").Go.Main = "pause"
	_, err = build(t, b)
	require.NoError(t, err, "what a failed build left behind must not hinder the next")
}

func TestErrorOfAFailedCommandShowsItsLastTwentyLines(t *testing.T) {
	var log bytes.Buffer
	_, err := command{log: &log}.run(t.Context(), "sh", "-c", "for i in $(seq 1 30); do echo line $i; done; printf end; exit 3")
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "line 30\nend")
	require.NotContains(t, err.Error(), "line 11\n")
	require.Contains(t, err.Error(), "line 12\n")
	require.Contains(t, log.String(), "line 1\n")
}

func TestEndedContextKillsTheWholeCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	go func() {
		// The grandchild has announced itself.
		_, _ = r.Read(make([]byte, 1))
		cancel()
	}()
	_, err = command{log: w}.run(ctx, "sh", "-c", "sleep 600 & echo started; wait")
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, w.Close())
}

func TestProgressCountsEveryEntryOnce(t *testing.T) {
	b, _ := small(t, "pause")
	var events []Event
	b.progress = func(e Event) { events = append(events, e) }
	_, err := build(t, b)
	require.NoError(t, err)
	var done []int
	for _, e := range events {
		require.Equal(t, 3, e.Total)
		if e.Phase == PhaseDone {
			done = append(done, e.Done)
		}
	}
	require.Equal(t, []int{1, 2, 3}, done)
	for _, phase := range []string{PhaseDownload, PhaseBuild, PhaseAssemble, PhasePush} {
		require.True(t, slices.ContainsFunc(events, func(e Event) bool { return e.Name == "image small" && e.Phase == phase }), phase)
	}
}

func TestListTellsWhatIsCurrent(t *testing.T) {
	list, err := List(Options{Cache: t.TempDir(), Repo: repository})
	require.NoError(t, err)
	require.Len(t, list, len(realTable(t).Entries))
	for _, s := range list {
		require.False(t, s.Current, s.Name)
	}
	_, err = json.Marshal(list)
	require.NoError(t, err)
}

func TestFolderThatIsNotTheRepositoryIsNamed(t *testing.T) {
	dir := t.TempDir()
	_, err := Ensure(t.Context(), Options{Cache: dir, Repo: dir})
	require.ErrorContains(t, err, dir+" is not the repository")
}

func TestUnreachableRegistryIsSaidWithWhatToDo(t *testing.T) {
	t.Setenv("GOPROXY", "http://127.0.0.1:1")
	t.Setenv("GONOSUMDB", "*")
	b, _ := small(t, "pause")
	r := b.table.entry("helper")
	r.Module, r.Version, r.Sum = "example.com/none", "v1.0.0", "h1:x"
	_, err := build(t, b)
	require.ErrorContains(t, err, "of tool helper failed: a package registry cannot be reached: check this machine's network and proxy settings")
}

func TestSecondBuilderWaitsAndSaysSo(t *testing.T) {
	b, _ := small(t, "pause")
	unlock, err := b.lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.progress = func(e Event) {
		require.Equal(t, PhaseWaiting, e.Phase)
		cancel()
	}
	_, err = b.lock(ctx)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = b.lock(t.Context())
	require.NoError(t, err)
	unlock()
}

// A version that turns out bad is left without a build, and what nobody goes back to
// is not kept.
func TestTheWayBackToTheVersionBeforeIsNoBuild(t *testing.T) {
	b, _ := small(t, "pause")
	entry := b.table.entry("small")
	raise := func(version string) []string {
		t.Helper()
		entry.reference = "registry.example/group/small:" + version
		b.keys["small"] = strings.Repeat(version[1:], 64)
		names, err := build(t, b)
		require.NoError(t, err)
		return names
	}
	kept := func(version string) bool {
		t.Helper()
		tag, err := b.store.tag("registry.example/group/small:" + version)
		require.NoError(t, err)
		_, err = remote.Image(tag)
		return err == nil
	}
	require.Contains(t, raise("v1"), "small")
	require.Equal(t, []string{"small"}, raise("v2"))
	require.Empty(t, raise("v1"), "back")
	require.Empty(t, raise("v2"), "and forth")
	require.Equal(t, []string{"small"}, raise("v3"))
	require.True(t, kept("v2"))
	require.False(t, kept("v1"), "two versions before")
	require.Empty(t, raise("v2"))
}
