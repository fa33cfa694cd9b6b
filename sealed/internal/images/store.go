package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/registry"
)

// layersRepository holds the shared layers, each as an image under its name, so
// that its tag keeps it.
const layersRepository = "neuroscale/layers"

// store is the registry's folder, served on loopback for as long as it is used.
type store struct {
	host   string
	server *http.Server
}

func openStore(ctx context.Context, dir string) (*store, error) {
	h, err := registry.Handler(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the registry: %w", err)
	}
	s := &store{host: l.Addr().String(), server: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *store) close() error { return s.server.Close() }

// tag is where the image reference is stored: upstream's path and tag without
// the registry host.
func (s *store) tag(reference string) (name.Tag, error) {
	t, err := name.NewTag(reference)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image name %s: %w", reference, err)
	}
	return name.NewTag(s.host+"/"+t.RepositoryStr()+":"+t.TagStr(), name.Insecure)
}

// sharedLayer is a stored layer; an image made of it references the stored blob.
func (s *store) sharedLayer(ctx context.Context, b blob) (v1.Layer, error) {
	ref, err := name.NewDigest(s.host+"/"+layersRepository+"@"+b.Digest.String(), name.Insecure)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) {
		l, err := remote.Layer(ref, remote.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	}
	return &remote.MountableLayer{Layer: storedLayer{b, open}, Reference: ref}, nil
}

// fileLayer is a packed layer that is not stored yet.
func fileLayer(b blob, file string) v1.Layer {
	return storedLayer{b, func() (io.ReadCloser, error) { return os.Open(file) }}
}

// hasLayer says whether the layer's bytes are in the store.
func (s *store) hasLayer(ctx context.Context, d v1.Hash) bool {
	return s.hasBlob(ctx, layersRepository, d)
}

func (s *store) hasBlob(ctx context.Context, repository string, d v1.Hash) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+s.host+"/v2/"+repository+"/blobs/"+d.String(), nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// hasImage says whether the tag points to the digest and every part is there.
func (s *store) hasImage(ctx context.Context, reference, digest string) bool {
	t, err := s.tag(reference)
	return err == nil && s.isWhole(ctx, t, digest)
}

// isWhole says whether what is called so has that digest, and every part is there.
func (s *store) isWhole(ctx context.Context, called name.Reference, digest string) bool {
	img, err := remote.Image(called, remote.WithContext(ctx))
	if err != nil {
		return false
	}
	if d, err := img.Digest(); err != nil || d.String() != digest {
		return false
	}
	repository := called.Context().RepositoryStr()
	m, err := img.Manifest()
	if err != nil || !s.hasBlob(ctx, repository, m.Config.Digest) {
		return false
	}
	for _, l := range m.Layers {
		if !s.hasBlob(ctx, repository, l.Digest) {
			return false
		}
	}
	return true
}

// addImage stores the image under its upstream name.
func (s *store) addImage(ctx context.Context, reference string, img v1.Image) error {
	t, err := s.tag(reference)
	if err != nil {
		return err
	}
	d, err := img.Digest()
	if err != nil {
		return err
	}
	if called := t.Context().Digest(d.String()); !s.isWhole(ctx, called, d.String()) {
		// Where the manifest is there and a part is not, the part would not be
		// written again. Mostly there is none: then this has nothing to delete. A
		// whole one stays: other versions of the same bytes are called so, too.
		_ = remote.Delete(called, remote.WithContext(ctx))
	}
	return remote.Write(t, img, remote.WithContext(ctx))
}

// dropUploads removes uploads that an ended process left unfinished.
func dropUploads(dir string) error {
	return filepath.WalkDir(filepath.Join(dir, "docker", "registry", "v2", "repositories"), func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || !d.IsDir():
			return err
		case d.Name() == "_uploads":
			if err := os.RemoveAll(p); err != nil {
				return err
			}
			return filepath.SkipDir
		case d.Name() == "_layers" || d.Name() == "_manifests":
			return filepath.SkipDir
		}
		return nil
	})
}

// removeTag makes the image unknown under its upstream name, if it was known.
func (s *store) removeTag(ctx context.Context, reference string) error {
	t, err := s.tag(reference)
	if err != nil {
		return err
	}
	err = remote.Delete(t, remote.WithContext(ctx))
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return nil
	}
	return err
}
