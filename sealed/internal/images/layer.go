package images

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// blob describes a compressed layer.
type blob struct {
	Digest v1.Hash `json:"digest"`
	DiffID v1.Hash `json:"diffId"`
	Size   int64   `json:"size"` // bytes, compressed
}

// pack writes root as a layer into file. The bytes depend on the tree's names,
// contents and modes only: entries are sorted, times are zero, and everything
// belongs to root unless owners (path from the image's root: uid, gid) says so.
func pack(root, file string, owners map[string][2]int) (blob, error) {
	f, err := os.Create(file)
	if err != nil {
		return blob{}, err
	}
	defer f.Close()
	compressed, plain, size := sha256.New(), sha256.New(), &counter{}
	// One goroutine, so that the bytes do not depend on timing.
	z, err := zstd.NewWriter(io.MultiWriter(f, compressed, size), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return blob{}, err
	}
	if err := writeTar(io.MultiWriter(z, plain), root, owners); err != nil {
		return blob{}, fmt.Errorf("pack %s: %w", root, err)
	}
	if err := z.Close(); err != nil {
		return blob{}, err
	}
	return blob{Digest: sum(compressed), DiffID: sum(plain), Size: size.n}, f.Close()
}

func writeTar(w io.Writer, root string, owners map[string][2]int) error {
	tw := tar.NewWriter(w)
	links := map[uint64]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return writeEntry(tw, p, name, info, owners["/"+name], links)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func writeEntry(tw *tar.Writer, p, name string, info fs.FileInfo, owner [2]int, links map[uint64]string) error {
	h := &tar.Header{Name: name, Uid: owner[0], Gid: owner[1], ModTime: time.Unix(0, 0), Mode: int64(info.Mode().Perm())}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if info.Mode()&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
	case info.Mode().IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			if first, ok := links[st.Ino]; ok {
				h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			}
			links[st.Ino] = name
		}
	default:
		return fmt.Errorf("%s is neither a file, a folder nor a link", name)
	}
	if err := tw.WriteHeader(h); err != nil || h.Size == 0 {
		return err
	}
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", h.Sum(nil))}
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// storedLayer is a layer whose bytes open returns.
type storedLayer struct {
	blob
	open func() (io.ReadCloser, error)
}

func (l storedLayer) Digest() (v1.Hash, error)            { return l.blob.Digest, nil }
func (l storedLayer) DiffID() (v1.Hash, error)            { return l.blob.DiffID, nil }
func (l storedLayer) Size() (int64, error)                { return l.blob.Size, nil }
func (l storedLayer) MediaType() (types.MediaType, error) { return types.OCILayerZStd, nil }
func (l storedLayer) Compressed() (io.ReadCloser, error)  { return l.open() }
func (l storedLayer) Uncompressed() (io.ReadCloser, error) {
	r, err := l.open()
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(r)
	if err != nil {
		r.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{z, r}, nil
}
