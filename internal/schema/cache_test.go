package schema

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func small(apiVersion, name string) kind {
	return kind{apiVersion, name, node{"type": "object", "additionalProperties": false}}
}

func TestAKeyDependsOnEveryInput(t *testing.T) {
	seen := map[string][]string{}
	for _, inputs := range [][]string{{}, {""}, {"a"}, {"b"}, {"a", "b"}, {"ab"}, {"a", ""}, {"", "a"}} {
		key, err := cacheKey(inputs...)
		require.NoError(t, err)
		again, err := cacheKey(inputs...)
		require.NoError(t, err)
		assert.Equal(t, key, again)
		assert.NotContains(t, seen, key, "%q and %q", inputs, seen[key])
		seen[key] = inputs
	}
}

// Each of these would pass documents nobody checked, or refuse good ones.
func TestACacheThatIsNotWholeIsNotThere(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, folder string){
		"truncated schema": func(t *testing.T, folder string) {
			require.NoError(t, os.Truncate(filepath.Join(folder, "apps", "thing_v1.json"), 10))
		},
		"empty schema": func(t *testing.T, folder string) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "apps", "thing_v1.json"), []byte("{}"), 0o644))
		},
		"schema gone": func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, "v1", "thing_v1.json")))
		},
		"truncated index": func(t *testing.T, folder string) {
			require.NoError(t, os.Truncate(filepath.Join(folder, indexFile), 80))
		},
		"index of its first line": func(t *testing.T, folder string) {
			require.NoError(t, os.Truncate(filepath.Join(folder, indexFile), 64))
		},
		"index with one kind less": func(t *testing.T, folder string) {
			file := filepath.Join(folder, indexFile)
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, append(data[:65], []byte("[]")...), 0o644))
		},
		"index gone": func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, indexFile)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "key")
			kinds := []kind{small("apps/v1", "Thing"), small("v1", "Thing")}
			stored, err := store(folder, kinds)
			require.NoError(t, err)
			require.Equal(t, stored, load(folder))
			damage(t, folder)
			require.Nil(t, load(folder))
			_, err = store(folder, kinds)
			require.NoError(t, err)
			assert.Equal(t, stored, load(folder), "made again, everything is right")
		})
	}
}

func TestADamagedCacheIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	v, err := New(t.Context(), Options{Renderer: renderer(t), CacheDir: dir})
	require.NoError(t, err)
	file := filepath.Join(v.folder, "apps", "deployment_v1.json")
	before, err := os.ReadFile(file)
	require.NoError(t, err)

	// An empty schema allows everything.
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o644))
	v, err = New(t.Context(), Options{Renderer: renderer(t), CacheDir: dir})
	require.NoError(t, err)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the same inputs give the same bytes")
	assert.Len(t, v.Validate([]byte(swap(t, deployment, "replicas: 2", "replica: 2"))), 1)

	// A schema that goes away under a running command is no pass either.
	v, err = New(t.Context(), Options{Renderer: renderer(t), CacheDir: dir})
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	assert.Len(t, v.Validate([]byte(deployment)), 1)
}

func TestACacheFolderThatCannotBeWrittenIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := store(file, []kind{small("v1", "Thing")})
	assert.ErrorContains(t, err, "cache the schema of v1 Thing: ")
}
