package metadb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// database in the layout of containerd: v1/<namespace>/<kind>/<name>/<field>.
func database(t *testing.T, images map[string]string) string {
	t.Helper()
	root := t.TempDir()
	path := filepath.Join(root, metaPath)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "io.containerd.grpc.v1.cri/sandboxes/s1"), 0o755))
	db, err := bolt.Open(path, 0o644, nil)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		put := func(value string, keys ...string) {
			bucket, err := tx.CreateBucketIfNotExists([]byte("v1"))
			for _, key := range keys[:len(keys)-1] {
				require.NoError(t, err)
				bucket, err = bucket.CreateBucketIfNotExists([]byte(key))
			}
			require.NoError(t, err)
			require.NoError(t, bucket.Put([]byte(keys[len(keys)-1]), []byte(value)))
		}
		put("image", "k8s.io", "containers", "c1", "image")
		put("runc", "k8s.io", "sandboxes", "s1", "runtime")
		put("x", "k8s.io", "leases", "l1", "createdat")
		put("x", "k8s.io", "snapshots", "overlayfs", "layer", "name")
		put("x", "k8s.io", "content", "blob", "sha256:1", "size")
		put("x", "other", "containers", "c9", "image")
		for name, digest := range images {
			put(digest, "k8s.io", "images", name, "target", "digest")
		}
		return nil
	}))
	return root
}

func has(t *testing.T, root string, keys ...string) bool {
	t.Helper()
	db, err := bolt.Open(filepath.Join(root, metaPath), 0o644, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	found := false
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("v1"))
		for _, key := range keys {
			if bucket = bucket.Bucket([]byte(key)); bucket == nil {
				return nil
			}
		}
		found = true
		return nil
	}))
	return found
}

func TestGhostsOfContainersGoAndImagesStay(t *testing.T) {
	root := database(t, map[string]string{"docker.io/a:1": "sha256:1"})
	require.NoError(t, DropContainers(root))
	for _, kind := range []string{"containers", "sandboxes", "leases"} {
		assert.False(t, has(t, root, "k8s.io", kind), kind)
	}
	for _, kind := range []string{"images", "snapshots", "content"} {
		assert.True(t, has(t, root, "k8s.io", kind), kind)
	}
	assert.True(t, has(t, root, "other", "containers", "c9"), "other users of containerd are none of our business")
	assert.NoDirExists(t, filepath.Join(root, "io.containerd.grpc.v1.cri"))
	assert.NoError(t, DropContainers(root), "a second time must do no harm")
}

func TestFolderWithoutDatabaseIsFine(t *testing.T) {
	assert.NoError(t, DropContainers(t.TempDir()))
	stale, err := DropStaleImages(t.TempDir(), func(string) string { return "sha256:2" })
	require.NoError(t, err)
	assert.Empty(t, stale)
}

func TestOnlyImagesThatWereRebuiltAreForgotten(t *testing.T) {
	root := database(t, map[string]string{"same:1": "sha256:1", "rebuilt:1": "sha256:1", "unknown:1": "sha256:1"})
	now := map[string]string{"same:1": "sha256:1", "rebuilt:1": "sha256:2"}
	stale, err := DropStaleImages(root, func(name string) string { return now[name] })
	require.NoError(t, err)
	assert.Equal(t, []string{"rebuilt:1"}, stale)
	assert.False(t, has(t, root, "k8s.io", "images", "rebuilt:1"))
	assert.True(t, has(t, root, "k8s.io", "images", "same:1"))
	assert.True(t, has(t, root, "k8s.io", "images", "unknown:1"))
}

func TestDatabaseInUseIsAnErrorThatNamesIt(t *testing.T) {
	root := database(t, nil)
	db, err := bolt.Open(filepath.Join(root, metaPath), 0o644, nil)
	require.NoError(t, err)
	defer db.Close()
	assert.ErrorContains(t, DropContainers(root), "meta.db")
}
