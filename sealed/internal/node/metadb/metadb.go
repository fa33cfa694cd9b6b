// Package metadb edits containerd's metadata while containerd does not run.
package metadb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	metaPath  = "io.containerd.metadata.v1.bolt/meta.db"
	namespace = "k8s.io"
)

// leftovers are folders of containers that no longer exist.
var leftovers = []string{"io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task"}

// DropContainers forgets every container and sandbox, and the leases that keep
// their snapshots, in containerd's folder root. Images, content and unpacked
// snapshots stay. A folder that containerd never used is fine.
func DropContainers(root string) error {
	for _, dir := range leftovers {
		if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
			return fmt.Errorf("remove left-over containers: %w", err)
		}
	}
	return edit(root, func(ns *bolt.Bucket) error {
		for _, name := range []string{"containers", "sandboxes", "leases"} {
			if ns.Bucket([]byte(name)) == nil {
				continue
			}
			if err := ns.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("drop %s: %w", name, err)
			}
		}
		return nil
	})
}

// DropStaleImages forgets the images whose name now stands for another digest,
// so that they are pulled again. current answers with the digest of a name, or
// "" when it does not know it. The names that were dropped are returned.
func DropStaleImages(root string, current func(name string) string) ([]string, error) {
	var stale []string
	err := edit(root, func(ns *bolt.Bucket) error {
		images := ns.Bucket([]byte("images"))
		if images == nil {
			return nil
		}
		err := images.ForEachBucket(func(name []byte) error {
			target := images.Bucket(name).Bucket([]byte("target"))
			if target == nil {
				return nil
			}
			if want := current(string(name)); want != "" && want != string(target.Get([]byte("digest"))) {
				stale = append(stale, string(name))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range stale {
			if err := images.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("drop image %s: %w", name, err)
			}
		}
		return nil
	})
	return stale, err
}

// edit runs fn over the bucket of containerd's namespace for Kubernetes, if any.
func edit(root string, fn func(*bolt.Bucket) error) error {
	path := filepath.Join(root, metaPath)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := bolt.Open(path, 0o644, &bolt.Options{Timeout: 2 * time.Second})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		v1 := tx.Bucket([]byte("v1"))
		if v1 == nil {
			return nil
		}
		ns := v1.Bucket([]byte(namespace))
		if ns == nil {
			return nil
		}
		return fn(ns)
	})
	if err != nil {
		return fmt.Errorf("edit %s: %w", path, err)
	}
	return nil
}
