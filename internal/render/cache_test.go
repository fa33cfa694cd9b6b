package render

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestACachedResultIsTheUncachedOne(t *testing.T) {
	uncached, err := New(gitops.FS, "")
	require.NoError(t, err)
	cache := t.TempDir()
	for _, name := range uncached.Layers() {
		want, err := uncached.Layer(context.Background(), name)
		require.NoError(t, err)
		for _, run := range []string{"cold", "warm"} {
			cached, err := New(gitops.FS, cache)
			require.NoError(t, err)
			if run == "warm" {
				cached.fetch = func(context.Context, []Module) ([]string, error) {
					return nil, errors.New("a cached layer needs no module")
				}
			}
			got, err := cached.Layer(context.Background(), name)
			require.NoError(t, err, run)
			assert.Equal(t, want.files, got.files, "%s %s", run, name)
			assert.Equal(t, want.Objects(), got.Objects(), "%s %s", run, name)
		}
	}
}

func TestABrokenCacheIsRenderedAnew(t *testing.T) {
	cache := t.TempDir()
	r, err := small(t, cache, nil)
	require.NoError(t, err)
	want, err := r.Layer(context.Background(), "tool")
	require.NoError(t, err)
	cached, err := filepath.Glob(filepath.Join(cache, "*", cachedFile))
	require.NoError(t, err)
	require.Len(t, cached, 1)
	whole, err := os.ReadFile(cached[0])
	require.NoError(t, err)
	for _, broken := range [][]byte{nil, whole[:len(whole)/2], append([]byte("x"), whole...)} {
		require.NoError(t, os.WriteFile(cached[0], broken, 0o644))
		got, err := r.Layer(context.Background(), "tool")
		require.NoError(t, err)
		assert.Equal(t, want.Hash(), got.Hash())
	}
}

func TestAChangedInputIsNotServedFromTheCache(t *testing.T) {
	cache := t.TempDir()
	hashes := map[string]bool{}
	for _, change := range []map[string]string{
		nil,
		{"platform/tool/kustomization.yaml": kustomizationText + "commonAnnotations: {a: b}\n"},
		{"upstream.yaml": replaceOnce(t, pins, "server:v1.2.3", "server:v1.2.4")},
	} {
		r, err := small(t, cache, change)
		require.NoError(t, err)
		tree, err := r.Layer(context.Background(), "tool")
		require.NoError(t, err)
		hashes[tree.Hash()] = true
	}
	assert.Len(t, hashes, 3)
}

func TestACacheThatCannotBeWrittenDoesNotStopARender(t *testing.T) {
	occupied := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(occupied, nil, 0o644))
	r, err := small(t, occupied, nil)
	require.NoError(t, err)
	_, err = r.Layer(context.Background(), "tool")
	assert.NoError(t, err)
}
