// Package nodeimage makes the image of a node in a container out of what the sealed
// machine has, and loads it into a Docker engine.
package nodeimage

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/images"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/registry"
)

// Folders in the container: State outlives it, Cache is the sealed machine's, which
// cannot be written there, Repo holds gitops/upstream.yaml.
const (
	State = "/node"
	Cache = "/cache"
	Repo  = "/repo"
)

// Entry is the name of the parts from Debian in images.yaml, and of the image in
// gitops/upstream.yaml.
const Entry = "node"

const upstreams = "gitops/upstream.yaml"

// Load puts the image into the engine of the environment and returns its name.
func Load(ctx context.Context, cache, repo string) (string, error) {
	table, err := os.ReadFile(filepath.Join(repo, upstreams))
	if err != nil {
		return "", fmt.Errorf("read upstreams: %w", err)
	}
	var pinned struct {
		Images map[string]string `json:"images"`
	}
	if err := yaml.Unmarshal(table, &pinned); err != nil {
		return "", fmt.Errorf("decode %s: %w", upstreams, err)
	}
	tag, err := name.NewTag(pinned.Images[Entry])
	if err != nil {
		return "", fmt.Errorf("%s: image %s: %w", upstreams, Entry, err)
	}
	parts, end, err := stored(ctx, cache, tag)
	if err != nil {
		return "", err
	}
	defer end()
	image, err := whole(parts, table)
	if err != nil {
		return "", fmt.Errorf("make image %s: %w", tag, err)
	}
	return tag.Name(), load(ctx, tag, image)
}

// stored is the image with the parts from Debian, for as long as end is not called.
func stored(ctx context.Context, cache string, tag name.Tag) (image v1.Image, end func(), err error) {
	handler, err := registry.Handler(ctx, images.RegistryDir(cache), true)
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for the registry: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	end = func() { _ = server.Close() }
	from, err := name.NewTag(listener.Addr().String()+"/"+tag.RepositoryStr()+":"+tag.TagStr(), name.Insecure)
	if err == nil {
		image, err = remote.Image(from, remote.WithContext(ctx))
	}
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("the parts of image %s are not built: run `sealed images node`: %w", tag, err)
	}
	return image, end, nil
}

// whole is the parts with this program and the table of upstreams.
func whole(parts v1.Image, table []byte) (v1.Image, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, f := range []struct {
		path    string
		mode    int64
		content []byte
	}{{"usr/local/bin/sealed", 0o755, program}, {"repo/" + upstreams, 0o644, table}} {
		header := &tar.Header{Name: f.path, Mode: f.mode, Size: int64(len(f.content)), ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil },
		tarball.WithCompressionLevel(1))
	if err != nil {
		return nil, err
	}
	return repacked(parts, layer)
}

// repacked is the image with one more layer, all of them in gzip: an older engine reads
// nothing else.
func repacked(parts v1.Image, more v1.Layer) (v1.Image, error) {
	layers, err := parts.Layers()
	if err != nil {
		return nil, err
	}
	var all []v1.Layer
	for _, l := range layers {
		again, err := tarball.LayerFromOpener(l.Uncompressed, tarball.WithCompressionLevel(1))
		if err != nil {
			return nil, err
		}
		all = append(all, again)
	}
	file, err := parts.ConfigFile()
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, append(all, more)...)
	if err != nil {
		return nil, err
	}
	settings := file.DeepCopy()
	settings.History = nil
	made, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	settings.RootFS = made.RootFS
	return mutate.ConfigFile(image, settings)
}

func load(ctx context.Context, tag name.Tag, image v1.Image) error {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("connect to the Docker engine: %w", err)
	}
	defer api.Close()
	read, write := io.Pipe()
	go func() { write.CloseWithError(tarball.Write(tag, image, write)) }()
	loaded, err := api.ImageLoad(ctx, read, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("load image %s into the Docker engine: %w", tag, err)
	}
	defer loaded.Close()
	// What went wrong is said in the answer, which began well.
	for answer := json.NewDecoder(loaded); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := answer.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("load image %s into the Docker engine: %w", tag, err)
		case line.Error != "":
			return fmt.Errorf("load image %s into the Docker engine: %s", tag, line.Error)
		}
	}
}
