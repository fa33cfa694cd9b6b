package main

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var root = filepath.Join("..", "..")

// made is a release whose images hold texts instead of programs.
func made(t *testing.T, registry string) (*release, *pins) {
	t.Helper()
	r := &release{out: t.TempDir(), version: "v1.2.3", commit: "abc", log: io.Discard, kyverno: map[platform]string{}, uplot: map[string][]byte{"/uplot/LICENSE": []byte("MIT")}}
	p := &pins{Images: map[string]string{}}
	for _, i := range images {
		p.Images[i.name] = registry + "/o/" + i.name + ":v1"
	}
	require.NoError(t, os.MkdirAll(filepath.Join(r.out, "bin"), 0o755))
	for _, on := range linux {
		r.kyverno[on] = filepath.Join(r.out, "bin", "kyverno-"+on.arch)
		require.NoError(t, os.WriteFile(r.kyverno[on], []byte("kyverno "+on.arch), 0o755))
	}
	_, programs, err := r.programs(p)
	require.NoError(t, err)
	for _, program := range programs {
		if program.source != "" {
			require.NoError(t, os.WriteFile(program.file, []byte(program.base()), 0o755))
		}
	}
	return r, p
}

func TestTheImagesAreTheOnesOfTheSealedMachine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "sealed", "internal", "images", "images.yaml"))
	require.NoError(t, err)
	var recipes struct {
		Entries []struct {
			Name, User string
			Entrypoint []string
			Layers     []string
			Env        []string
			Go         struct {
				Ours     bool
				Packages map[string]string
			}
			Dirs      map[string]struct{ Mode string }
			ToolFiles map[string]string                         `json:"tool-files"`
			NPMFiles  map[string]struct{ Package, Path string } `json:"npm-files"`
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &recipes))
	var names []string
	for _, i := range images {
		names = append(names, i.name)
	}
	var theirs []string
	for _, recipe := range recipes.Entries {
		if !recipe.Go.Ours || recipe.User == "" {
			continue
		}
		theirs = append(theirs, recipe.Name)
		for _, i := range images {
			if i.name != recipe.Name {
				continue
			}
			assert.Equal(t, user, recipe.User, i.name)
			assert.Equal(t, []string{"/" + i.name}, recipe.Entrypoint)
			assert.Equal(t, map[string]string{"/" + i.name: i.source}, recipe.Go.Packages)
			assert.Empty(t, recipe.Layers, i.name)
			assert.Empty(t, recipe.Env, i.name)
			if i.kyverno {
				assert.Equal(t, map[string]string{"/kubectl-kyverno": "kyverno-cli/kubectl-kyverno"}, recipe.ToolFiles)
				assert.Equal(t, map[string]struct{ Mode string }{"/tmp": {"1777"}}, recipe.Dirs)
			} else {
				assert.Empty(t, recipe.ToolFiles)
				assert.Empty(t, recipe.Dirs)
			}
			files := map[string]string{}
			for to, from := range recipe.NPMFiles {
				assert.Equal(t, "uplot", from.Package)
				files[to] = from.Path
			}
			if i.uplot {
				assert.Equal(t, uplot, files)
			} else {
				assert.Empty(t, files, i.name)
			}
		}
	}
	assert.ElementsMatch(t, theirs, names, "an image of ours is not released")
}

func TestImagesArePublishedForEveryPlatformAndNeverChanged(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	r, p := made(t, host)
	require.NoError(t, r.images(p))
	require.NoError(t, r.push(context.Background()))
	require.NoError(t, r.push(context.Background()), "a run that is done again")

	for _, i := range images {
		to, err := name.ParseReference(p.Images[i.name])
		require.NoError(t, err)
		index, err := remote.Index(to)
		require.NoError(t, err)
		manifest, err := index.IndexManifest()
		require.NoError(t, err)
		require.Len(t, manifest.Manifests, 2)
		for n, on := range linux {
			assert.Equal(t, on.arch, manifest.Manifests[n].Platform.Architecture)
			one, err := index.Image(manifest.Manifests[n].Digest)
			require.NoError(t, err)
			config, err := one.ConfigFile()
			require.NoError(t, err)
			assert.Equal(t, on.arch, config.Architecture)
			assert.Equal(t, "65532:65532", config.Config.User)
			assert.Equal(t, []string{"/" + i.name}, config.Config.Entrypoint)
			assert.True(t, config.Created.IsZero(), "a time makes another image of the same files")
		}
	}
	list, err := os.ReadFile(filepath.Join(r.out, imagesFile))
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^`+host+`/o/guard:v1@sha256:[0-9a-f]{64}$`, string(list))

	again, _ := made(t, host)
	require.NoError(t, again.images(p))
	second, err := os.ReadFile(filepath.Join(again.out, imagesFile))
	require.NoError(t, err)
	assert.Equal(t, string(list), string(second), "the same programs are another image")

	other, _ := made(t, host)
	require.NoError(t, os.WriteFile(filepath.Join(other.out, "bin", "doorkeeper_v1_linux_arm64"), []byte("changed"), 0o755))
	require.NoError(t, other.images(p))
	assert.ErrorContains(t, other.push(context.Background()), host+"/o/doorkeeper:v1 is there already and is not what this release has", "what people run is changed behind a version")
}

func TestARegistryThatGivesNoAnswerIsNotWrittenTo(t *testing.T) {
	server := httptest.NewServer(nil)
	host := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	r, p := made(t, host)
	require.NoError(t, r.images(p))
	ctx, stop := context.WithCancel(context.Background())
	stop()
	assert.ErrorContains(t, r.push(ctx), "ask for "+host)
}

func TestAGuardWithoutKyvernoForAPlatformIsNoRelease(t *testing.T) {
	r, p := made(t, "ghcr.io")
	delete(r.kyverno, linux[1])
	_, _, err := r.programs(p)
	assert.ErrorContains(t, err, "the image guard has Kyverno's command line in it, which is not given for all of [linux/amd64 linux/arm64]")
	r.incomplete = true
	_, _, err = r.programs(p)
	assert.NoError(t, err)
	_, err = byPlatform([]string{"release_test.go"})
	assert.ErrorContains(t, err, "-kyverno release_test.go is no program in Go")
	_, err = byPlatform([]string{os.Args[0]})
	assert.ErrorContains(t, err, "give kubectl-kyverno")
}

func TestAnArchiveIsTheSameEveryTime(t *testing.T) {
	r, _ := made(t, "ghcr.io")
	p := program{platform: host, name: "neuroscale", version: "v1.2.3", file: filepath.Join(r.out, "bin", "n")}
	require.NoError(t, os.WriteFile(p.file, []byte("a program"), 0o700))
	require.NoError(t, r.archive(p))
	file := filepath.Join(r.out, p.base()+".tar.gz")
	first, err := sum(file)
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(p.file, time.Unix(1, 0), time.Unix(1, 0)))
	require.NoError(t, r.archive(p))
	second, err := sum(file)
	require.NoError(t, err)
	assert.Equal(t, first, second)
	require.NoError(t, r.checksums())
	lines, err := os.ReadFile(filepath.Join(r.out, checksumsFile))
	require.NoError(t, err)
	assert.Equal(t, first+"  "+filepath.Base(file)+"\n", string(lines), "folders have no sum")
}

func TestABillOfMaterialsIsComparedWithTheProgram(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Path: "example.org/a"}, Deps: []*debug.Module{
		{Path: "example.org/b", Version: "v1.0.0"},
		{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0"}},
	}}
	const good = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"bom-ref":"a","name":"example.org/a","version":"v1"}},
"components":[{"bom-ref":"b","name":"example.org/b","version":"v1.0.0","purl":"pkg:golang/example.org/b@v1.0.0"},
{"bom-ref":"c","name":"example.org/c","version":"v2.0.0","purl":"pkg:golang/example.org/c@v2.0.0"},
{"bom-ref":"std","name":"std","version":"go1.26.0","purl":"pkg:golang/std@go1.26.0"}],
"dependencies":[{"ref":"a","dependsOn":["b","c","std"]}]}`
	require.NoError(t, checkBOM([]byte(good), info, "v1"))
	for want, change := range map[string][2]string{
		"it leaves out example.org/b@v1.0.0":                         {`"name":"example.org/b"`, `"name":"example.org/x"`},
		"it names example.org/x@v1.0.0, which is not in the program": {`"name":"example.org/b"`, `"name":"example.org/x"`},
		"it leaves out example.org/c@v2.0.0":                         {`"version":"v2.0.0"`, `"version":"v2.0.1"`},
		"it leaves out std@go1.26.0":                                 {`"version":"go1.26.0"`, `"version":"go1.25.0"`},
		"it is about example.org/a v1, not about example.org/a v2":   {`"version":"v1"}`, `"version":"v2"}`},
		"not CycloneDX": {`"CycloneDX"`, `"SPDX"`},
		"its dependencies name d, which is no component": {`["b",`, `["d",`},
		"example.org/b v1.0.0 has the package URL \"\"":  {`"purl":"pkg:golang/example.org/b@v1.0.0"`, `"purl":""`},
		"no JSON": {`{"bomFormat"`, `"bomFormat"`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		version := "v1"
		if strings.Contains(want, "not about") {
			text, version = good, "v2"
		}
		assert.ErrorContains(t, checkBOM([]byte(text), info, version), want)
	}
}

func TestAWrongCallIsOneSentence(t *testing.T) {
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	for want, args := range map[string][]string{
		"there are `release build` and `release push`":           {},
		`-version is "": write one such as v1.2.3`:               {"build"},
		`-version is "1.2": write one such as v1.2.3`:            {"build", "-version", "1.2"},
		`takes no arguments, only flags: remove "now"`:           {"push", "now"},
		"is not empty: a release is made in a folder of its own": {"build", "-version", "v1.2.3", "-commit", "a", "-out", full},
		"make the release first, by `release build`":             {"push", "-out", full},
		"-kyverno release_test.go is no program in Go":           {"build", "-version", "v1.2.3", "-commit", "a", "-kyverno", "release_test.go"},
	} {
		assert.ErrorContains(t, run(context.Background(), args, io.Discard), want)
	}
}
