package render

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestAModuleIsTheOneThatIsPinned(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads upstream modules")
	}
	r, err := New(gitops.FS, "")
	require.NoError(t, err)
	dir, err := r.Module(t.Context(), "kserve")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "module github.com/kserve/kserve\n")

	pin := r.upstream.Modules["kserve"]
	pin.Sum = "h1:another"
	r.upstream.Modules["kserve"] = pin
	_, err = r.Module(t.Context(), "kserve")
	assert.ErrorContains(t, err, "upstream kserve: module github.com/kserve/kserve@")
	_, err = r.Module(t.Context(), "kserv")
	assert.EqualError(t, err, `unknown upstream "kserv": did you mean "kserve"?`)
}

func TestAKeyChangesWithWhatALayerIsMadeFrom(t *testing.T) {
	files := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(gitops.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		files[p] = &fstest.MapFile{Data: data}
		return err
	}))
	key := func(layer string) string {
		r, err := New(files, "")
		require.NoError(t, err)
		key, err := r.Key(layer)
		require.NoError(t, err)
		return key
	}
	before, other := key("knative"), key("kserve")
	assert.Equal(t, before, key("knative"))
	assert.NotEqual(t, before, other)

	files["platform/knative/patches/more.yaml"] = &fstest.MapFile{Data: []byte("a: b\n")}
	assert.NotEqual(t, before, key("knative"), "a file of its own")
	assert.Equal(t, other, key("kserve"))
	before = key("knative")
	files[UpstreamFile] = &fstest.MapFile{Data: append([]byte("# pins\n"), files[UpstreamFile].Data...)}
	assert.NotEqual(t, before, key("knative"), "the pins")

	r, err := New(gitops.FS, "")
	require.NoError(t, err)
	_, err = r.Key("knativ")
	assert.EqualError(t, err, `unknown layer "knativ": did you mean "knative"?`)
}
