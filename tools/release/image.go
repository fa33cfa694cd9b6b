package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"sigs.k8s.io/yaml"
)

// image is one that holds a command of this repository and nothing it runs on. A test
// compares these with the recipes of the sealed machine's.
type image struct {
	// name in gitops/upstream.yaml, and of the program in the image's root.
	name string
	// source is the program's folder in the checkout.
	source string
	// kyverno adds Kyverno's command line, and /tmp, which that writes to.
	kyverno bool
	// uplot adds uPlot's files.
	uplot bool
}

// user of all of them.
const user = "65532:65532"

var (
	images = []image{
		{name: "dashboards", source: "cmd/neuroscale-dashboards", uplot: true},
		{name: "doorkeeper", source: "cmd/neuroscale-doorkeeper"},
		{name: "forge-proxy", source: "cmd/neuroscale-forge-proxy"},
		{name: "guard", source: "cmd/neuroscale-guard", kyverno: true},
	}
	// linux are the platforms of images.
	linux = []platform{{"linux", "amd64"}, {"linux", "arm64"}}
)

func (i image) platforms(r *release) []platform {
	if !i.kyverno {
		return linux
	}
	return slices.DeleteFunc(slices.Clone(linux), func(p platform) bool { return r.kyverno[p] == "" })
}

// pins is what is looked at of gitops/upstream.yaml: the names of our images, and the
// versions of upstreams.
type pins struct {
	Images    map[string]string `json:"images"`
	Upstreams map[string]struct {
		Version string `json:"version"`
	} `json:"upstreams"`
}

func readPins(repo string) (*pins, error) {
	text, err := os.ReadFile(filepath.Join(repo, "gitops", "upstream.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the images' names: %w", err)
	}
	p := &pins{}
	if err := yaml.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("gitops/upstream.yaml: %w", err)
	}
	for _, i := range images {
		if tag(p.Images[i.name]) == "" {
			return nil, fmt.Errorf("gitops/upstream.yaml has no image %s with a tag", i.name)
		}
	}
	return p, nil
}

// tag of a reference, empty if it has none.
func tag(reference string) string {
	_, last, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	return last
}

// byPlatform tells for which platform each of Kyverno's command lines was compiled.
func byPlatform(files []string) (map[platform]string, error) {
	by := map[platform]string{}
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("-kyverno %s is no program in Go: %w", file, err)
		}
		if !strings.HasSuffix(info.Path, "/kubectl-kyverno") {
			return nil, fmt.Errorf("-kyverno %s is %s: give kubectl-kyverno", file, info.Path)
		}
		var on platform
		for _, s := range info.Settings {
			switch s.Key {
			case "GOOS":
				on.os = s.Value
			case "GOARCH":
				on.arch = s.Value
			}
		}
		if !slices.Contains(linux, on) {
			return nil, fmt.Errorf("-kyverno %s is for %s: give one for each of %v", file, on, linux)
		}
		if by[on] != "" {
			return nil, fmt.Errorf("-kyverno %s and %s are both for %s: give one for each of %v", by[on], file, on, linux)
		}
		by[on] = file
	}
	return by, nil
}

// imagesFile lists what images were made, as NAME:TAG@DIGEST.
const imagesFile = "images.txt"

// images makes every image for its platforms, as OCI layouts below out/images.
func (r *release) images(pins *pins) error {
	var made strings.Builder
	for _, i := range images {
		index := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
		for _, on := range i.platforms(r) {
			one, err := r.image(i, on, tag(pins.Images[i.name]))
			if err != nil {
				return fmt.Errorf("image %s for %s: %w", i.name, on, err)
			}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: on.os, Architecture: on.arch}},
			})
		}
		folder := filepath.Join(r.out, "images", i.name)
		if _, err := layout.Write(folder, index); err != nil {
			return fmt.Errorf("image %s: %w", i.name, err)
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		fmt.Fprintf(&made, "%s@%s\n", pins.Images[i.name], digest)
		r.say("image %s for %v", pins.Images[i.name], i.platforms(r))
	}
	return os.WriteFile(filepath.Join(r.out, imagesFile), []byte(made.String()), 0o644)
}

// image for one platform. What is in it decides its digest: there is no time in it, and
// no commit.
func (r *release) image(i image, on platform, version string) (v1.Image, error) {
	p := program{platform: on, name: i.name, version: version}
	contents := []entry{{path: "/" + i.name, file: filepath.Join(r.out, "bin", p.base())}}
	if i.kyverno {
		contents = append(contents, entry{path: "/kubectl-kyverno", file: r.kyverno[on]}, entry{path: "/tmp/"})
	}
	if i.uplot {
		for _, to := range slices.Sorted(maps.Keys(r.uplot)) {
			contents = append(contents, entry{path: to, content: r.uplot[to]})
		}
	}
	packed, err := pack(contents)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil })
	if err != nil {
		return nil, err
	}
	one := mutate.ConfigMediaType(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"), "application/vnd.oci.image.config.v1+json")
	one, err = mutate.Append(one, mutate.Addendum{Layer: l, MediaType: "application/vnd.oci.image.layer.v1.tar+gzip"})
	if err != nil {
		return nil, err
	}
	config, err := one.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = on.os, on.arch
	config.Config = v1.Config{User: user, Entrypoint: []string{"/" + i.name}, Labels: map[string]string{
		"org.opencontainers.image.source":  "https://github.com/neuroscale-platform/neuroscale",
		"org.opencontainers.image.version": version,
	}}
	return mutate.ConfigFile(one, config)
}

// entry of an image: a program of a file, a text, or a folder everybody may write to.
type entry struct {
	path, file string
	content    []byte
}

func pack(entries []entry) ([]byte, error) {
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, e := range entries {
		if e.file == "" && e.content == nil {
			if err := t.WriteHeader(&tar.Header{Name: strings.TrimPrefix(e.path, "/"), Typeflag: tar.TypeDir, Mode: 0o1777, Format: tar.FormatUSTAR}); err != nil {
				return nil, err
			}
			continue
		}
		content, mode := e.content, int64(0o644)
		var err error
		if content == nil {
			mode = 0o755
			if content, err = os.ReadFile(e.file); err != nil {
				return nil, err
			}
		}
		err = t.WriteHeader(&tar.Header{Name: strings.TrimPrefix(e.path, "/"), Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content)), Format: tar.FormatUSTAR})
		if err == nil {
			_, err = t.Write(content)
		}
		if err != nil {
			return nil, err
		}
	}
	return out.Bytes(), t.Close()
}

// push publishes the images of a release. One that is there already stays what it is:
// who changes what is in an image raises its version.
func (r *release) push(ctx context.Context) error {
	list, err := os.ReadFile(filepath.Join(r.out, imagesFile))
	if err != nil {
		return fmt.Errorf("%w: make the release first, by `release build`", err)
	}
	for _, line := range strings.Fields(string(list)) {
		if err := r.pushImage(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) pushImage(ctx context.Context, line string) error {
	reference, want, _ := strings.Cut(line, "@")
	to, err := name.ParseReference(reference)
	if err != nil {
		return err
	}
	folder := filepath.Join(r.out, "images", filepath.Base(to.Context().RepositoryStr()))
	path, err := layout.FromPath(folder)
	if err != nil {
		return err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if digest.String() != want {
		return fmt.Errorf("%s has %s: %s says %s", folder, digest, imagesFile, want)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	there, err := remote.Head(to, options...)
	var answer *transport.Error
	switch {
	case err == nil && there.Digest == digest:
		r.say("%s is there already", line)
		return nil
	case err == nil:
		return fmt.Errorf("%s is there already and is not what this release has (%s, not %s): raise its version in gitops/upstream.yaml", reference, there.Digest, digest)
	case !errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound:
		return fmt.Errorf("ask for %s: %w", reference, err)
	}
	if err := remote.WriteIndex(to, index, options...); err != nil {
		return fmt.Errorf("push %s: %w", reference, err)
	}
	r.say("%s pushed", line)
	return nil
}
