package docker

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

type npmPackage struct{ Version, Integrity string }

// portalRecipe is what sealed/internal/images/images.yaml says of the portal and the test
// needs to know.
type portalRecipe struct {
	Path       string
	Node       npmPackage
	Drop, Trim []string
}

func readPortalRecipe(t *testing.T, checkout string) portalRecipe {
	t.Helper()
	var table struct {
		Entries []struct {
			Name      string
			Backstage portalRecipe
		}
	}
	text, err := os.ReadFile(filepath.Join(checkout, "sealed", "internal", "images", "images.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &table))
	for _, e := range table.Entries {
		if e.Name == "portal" {
			return e.Backstage
		}
	}
	require.Fail(t, "images.yaml has no portal")
	return portalRecipe{}
}

// isLeftOut is whether the sealed image does without a file of the app.
func (r portalRecipe) isLeftOut(name string) bool {
	inside, ok := strings.CutPrefix("/"+name, r.Path+"/")
	return ok && (slices.ContainsFunc(r.Drop, func(ending string) bool { return strings.HasSuffix(name, ending) }) ||
		slices.ContainsFunc(r.Trim, func(below string) bool { return inside == below || strings.HasPrefix(inside, below+"/") }))
}

// imageConfig is what an image says about how it runs.
type imageConfig struct {
	User, WorkingDir     string
	Env, Entrypoint, Cmd []string
}

// file is one of an image. Times do not matter.
type file struct {
	about   string // kind, mode, owner and where a link leads
	content [sha256.Size]byte
}

// readFiles adds what an archive has to files by name.
func readFiles(t *testing.T, archive io.Reader, files map[string]file) {
	t.Helper()
	r := tar.NewReader(archive)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		name := path.Clean(h.Name)
		if h.Typeflag == tar.TypeLink {
			files[name] = files[path.Clean(h.Linkname)]
			continue
		}
		sum := sha256.New()
		_, err = io.Copy(sum, r)
		require.NoError(t, err)
		f := file{about: fmt.Sprintf("%c %o %d:%d %s", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname)}
		copy(f.content[:], sum.Sum(nil))
		files[name] = f
	}
}

// sealed is an image as the sealed machine's registry has it in its folder.
func sealed(t *testing.T, reference string) (imageConfig, map[string]file) {
	t.Helper()
	registry := filepath.Join(cacheDir(t), "registry", "docker", "registry", "v2")
	blob := func(digest string) *os.File {
		hash := strings.TrimPrefix(digest, "sha256:")
		f, err := os.Open(filepath.Join(registry, "blobs", "sha256", hash[:2], hash, "data"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	decode := func(digest string, to any) { require.NoError(t, json.NewDecoder(blob(digest)).Decode(to)) }
	_, name, _ := strings.Cut(reference, "/")
	name, tag, _ := strings.Cut(name, ":")
	digest, err := os.ReadFile(filepath.Join(registry, "repositories", name, "_manifests", "tags", tag, "current", "link"))
	require.NoError(t, err, "run `make all-images`")
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	decode(string(digest), &manifest)
	var image struct{ Config imageConfig }
	decode(manifest.Config.Digest, &image)
	files := map[string]file{}
	for _, layer := range manifest.Layers {
		z, err := zstd.NewReader(blob(layer.Digest))
		require.NoError(t, err)
		defer z.Close()
		readFiles(t, z, files)
	}
	return image.Config, files
}

// ofContainers is what an engine puts into every container.
var ofContainers = []string{".dockerenv", "dev", "etc", "proc", "sys"}

// built is an image of the engine's.
func (e *engine) built(t *testing.T, name string) (imageConfig, map[string]file) {
	t.Helper()
	var config imageConfig
	require.NoError(t, json.Unmarshal([]byte(e.docker(t, "image", "inspect", "--format", "{{json .Config}}", name)), &config))
	archive := filepath.Join(t.TempDir(), "container.tar")
	id := e.docker(t, "create", name)
	r := e.run(5*time.Minute, "docker", "export", "--output", archive, id)
	require.Zero(t, r.Code, r.String())
	e.docker(t, "rm", id)
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	files := map[string]file{}
	readFiles(t, f, files)
	return config, files
}

// abouts are files without their contents.
func abouts(files map[string]file, keep func(name string) bool) map[string]string {
	all := map[string]string{}
	for name, f := range files {
		if keep(name) {
			all[name] = f.about
		}
	}
	return all
}

// Their base images are stand-ins, made of Debian's packages, Go's module and npm's
// packages: no registry that has the real ones is reached here.
func TestTheDockerfilesMakeTheImages(t *testing.T) {
	e := start(t)
	upstream, err := render.ReadUpstream(gitops.FS)
	require.NoError(t, err)
	builds, err := ownimages.Builds(e.checkout, ownimages.Of(upstream.Images))
	require.NoError(t, err)
	require.Len(t, builds, 5)
	names, err := ownimages.Bases(builds)
	require.NoError(t, err)
	proxy, portal := e.proxy(t), readPortalRecipe(t, e.checkout)
	e.bases(t, names, portal.Node, proxy)
	// Images of one Dockerfile wait for the same stage.
	byFile := map[string][]ownimages.Build{}
	for _, b := range builds {
		byFile[b.Dockerfile] = append(byFile[b.Dockerfile], b)
	}
	require.True(t, t.Run("build", func(t *testing.T) {
		for dockerfile, group := range byFile {
			name, err := filepath.Rel(e.checkout, dockerfile)
			require.NoError(t, err)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, b := range group {
					args := []string{"--network", "host", "--build-arg", "HTTPS_PROXY=" + proxy, "--file", b.Dockerfile}
					if b.Target != "" {
						args = append(args, "--target", b.Target)
					}
					e.build(t, b.Reference, append(args, b.Context)...)
				}
			})
		}
	}))
	e.check(t, builds, portal)
}

// check compares images with what the sealed machine has, and runs them.
func (e *engine) check(t *testing.T, builds []ownimages.Build, portal portalRecipe) {
	runs := map[string]func(*testing.T, string){
		"dashboards": e.showsAPlot, "doorkeeper": e.looksForItsCluster, "forge-proxy": e.saysThatGiteaIsAway,
		"guard": e.hasBothEngines, "portal": e.becomesReady,
	}
	for _, b := range builds {
		t.Run(b.Name+" has what the sealed one has", func(t *testing.T) {
			want, wanted := sealed(t, b.Published)
			got, files := e.built(t, b.Reference)
			assert.Equal(t, want.User, got.User)
			assert.Equal(t, path.Join("/", want.WorkingDir), path.Join("/", got.WorkingDir))
			assert.Equal(t, want.Entrypoint, got.Entrypoint)
			assert.Equal(t, want.Cmd, got.Cmd)
			assert.ElementsMatch(t, want.Env, got.Env)
			ours := func(name string) bool {
				first, _, _ := strings.Cut(name, "/")
				return !slices.Contains(ofContainers, first)
			}
			if b.Name == "portal" {
				ours = func(name string) bool {
					return (name == "app" || strings.HasPrefix(name, "app/") || name == "var/lib/portal") && !portal.isLeftOut(name)
				}
			}
			assert.Equal(t, abouts(wanted, ours), abouts(files, ours))
			for name := range files {
				if strings.HasPrefix(name, "uplot/") {
					assert.Equal(t, wanted[name].content, files[name].content, "%s is another one", name)
				}
			}
		})
		t.Run(b.Name+" runs", func(t *testing.T) { runs[b.Name](t, b.Reference) })
	}
}

// serve runs an image in the engine's network until the test ends, as a pod would: nothing
// of its file system can be written.
func (e *engine) serve(t *testing.T, options []string, image string, args ...string) (logs func() string) {
	t.Helper()
	id := e.docker(t, slices.Concat([]string{"run", "--detach", "--network", "host", "--read-only", "--cap-drop", "ALL"}, options, []string{image}, args)...)
	t.Cleanup(func() { e.docker(t, "rm", "--force", "--volumes", id) })
	return func() string { return e.run(time.Minute, "docker", "logs", id).String() }
}

// answer waits for a status and returns what comes with it.
func (e *engine) answer(t *testing.T, logs func() string, status, url string) string {
	t.Helper()
	var body string
	e.poll(t, 3*time.Minute, func() string {
		r := e.run(time.Minute, "curl", "--silent", "--max-time", "20", "--write-out", "\n%{http_code}", url)
		i := strings.LastIndex(r.Stdout, "\n")
		body = r.Stdout[:max(i, 0)]
		if r.Stdout[i+1:] != status {
			return url + ": " + r.String() + logs()
		}
		return ""
	})
	return body
}

func (e *engine) showsAPlot(t *testing.T, image string) {
	boards := filepath.Join(e.checkout, "gitops", "platform", "dashboards", "boards")
	logs := e.serve(t, []string{"--volume", boards + ":/etc/dashboards:ro"}, image, "-prometheus", "http://127.0.0.1:9", "-listen", "127.0.0.1:8080")
	assert.Contains(t, e.answer(t, logs, "200", "http://127.0.0.1:8080/uplot/uPlot.iife.min.js"), "uPlot")
	assert.Contains(t, e.answer(t, logs, "200", "http://127.0.0.1:8080/api/boards"), `"`)
}

func (e *engine) saysThatGiteaIsAway(t *testing.T, image string) {
	logs := e.serve(t, nil, image, "--listen", "127.0.0.1:3000", "--public-url", "http://127.0.0.1:3000", "--upstream", "http://127.0.0.1:9")
	e.answer(t, logs, "502", "http://127.0.0.1:3000/")
}

// looksForItsCluster is as far as it comes outside of one.
func (e *engine) looksForItsCluster(t *testing.T, image string) {
	r := e.run(time.Minute, "docker", "run", "--rm", image, "acme")
	assert.Equal(t, 1, r.Code, r.String())
	assert.Contains(t, r.Stderr, "in-cluster configuration")
}

func (e *engine) hasBothEngines(t *testing.T, image string) {
	r := e.run(time.Minute, "docker", "run", "--rm", "--read-only", image, "check")
	assert.Equal(t, 1, r.Code, r.String())
	assert.Contains(t, r.Stderr, "/tmp/rules")
	assert.Contains(t, e.docker(t, "run", "--rm", "--read-only", "--entrypoint", "/kubectl-kyverno", image, "version"), "Version:")
}

// becomesReady with its database, which is compiled, and its pages. What the platform would
// tell it of itself is a test's of the program that writes it.
func (e *engine) becomesReady(t *testing.T, image string) {
	text, err := os.ReadFile(filepath.Join(e.checkout, "components", "portal", "testdata", "github.app-config.yaml"))
	require.NoError(t, err)
	var site map[string]any
	require.NoError(t, yaml.Unmarshal(text, &site))
	// Their files would have to be made as well.
	delete(site["backend"].(map[string]any), "https")
	delete(site, "catalog")
	text, err = yaml.Marshal(site)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app-config.yaml"), text, 0o644))
	options := []string{"--tmpfs", "/tmp", "--volume", "/var/lib/portal", "--volume", dir + ":/etc/portal/config:ro"}
	for name, value := range map[string]string{
		"PORTAL_URL": "http://127.0.0.1:7007", "SESSION_SECRET": "of-this-test", "VERIFY_TOKEN": "of-this-test",
		"GATEWAY_URL": "http://127.0.0.1:9", "GATEWAY_INTERNAL_URL": "http://127.0.0.1:9",
		"FORGE_URL": "http://127.0.0.1:9", "FORGE_INTERNAL_URL": "http://127.0.0.1:9", "FORGE_CLIENT_ID": "test", "FORGE_CLIENT_SECRET": "of-this-test",
	} {
		options = append(options, "--env", name+"="+value)
	}
	logs := e.serve(t, options, image, "--config", "app-config.yaml", "--config", "/etc/portal/config/app-config.yaml")
	e.answer(t, logs, "200", "http://127.0.0.1:7007/.backstage/health/v1/readiness")
	assert.Contains(t, e.answer(t, logs, "200", "http://127.0.0.1:7007/"), "<title>NeuroScale</title>")
}
