package registry

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

func serve(t *testing.T, dir string, readOnly bool) string {
	t.Helper()
	h, err := Handler(t.Context(), dir, readOnly)
	require.NoError(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func push(t *testing.T, host string) (v1.Hash, error) {
	t.Helper()
	img, err := random.Image(1024, 2)
	require.NoError(t, err)
	tag, err := name.NewTag(host+"/coredns/coredns:v1", name.Insecure)
	require.NoError(t, err)
	d, err := img.Digest()
	require.NoError(t, err)
	return d, remote.Write(tag, img)
}

func TestPushedImageIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	want, err := push(t, serve(t, dir, false))
	require.NoError(t, err)

	for _, readOnly := range []bool{false, true} {
		tag, err := name.NewTag(serve(t, dir, readOnly)+"/coredns/coredns:v1", name.Insecure)
		require.NoError(t, err)
		img, err := remote.Image(tag)
		require.NoError(t, err)
		got, err := img.Digest()
		require.NoError(t, err)
		require.Equal(t, want, got)
		layers, err := img.Layers()
		require.NoError(t, err)
		require.Len(t, layers, 2)
	}
}

func TestReadOnlyRegistryRefusesAPush(t *testing.T) {
	_, err := push(t, serve(t, t.TempDir(), true))
	require.ErrorContains(t, err, "405")
}

func TestUnknownImageIsNotFound(t *testing.T) {
	res, err := http.Get("http://" + serve(t, t.TempDir(), true) + "/v2/no/such/manifests/v1")
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestFolderThatIsAFileIsAnError(t *testing.T) {
	f := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(f, nil, 0o600))
	_, err := Handler(t.Context(), f, false)
	require.ErrorContains(t, err, f)
}

func TestSweepRemovesOnlyWhatNoTagNeeds(t *testing.T) {
	dir := t.TempDir()
	host := serve(t, dir, false)
	old, err := push(t, host)
	require.NoError(t, err)
	now, err := push(t, host)
	require.NoError(t, err)
	require.NoError(t, Sweep(t.Context(), dir))

	host = serve(t, dir, true)
	for digest, there := range map[v1.Hash]bool{old: false, now: true} {
		ref, err := name.NewDigest(host+"/coredns/coredns@"+digest.String(), name.Insecure)
		require.NoError(t, err)
		img, err := remote.Image(ref)
		if !there {
			require.ErrorContains(t, err, "MANIFEST_UNKNOWN")
			continue
		}
		require.NoError(t, err)
		layers, err := img.Layers()
		require.NoError(t, err)
		for _, l := range layers {
			r, err := l.Compressed()
			require.NoError(t, err)
			require.NoError(t, r.Close())
		}
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "docker/registry/v2/blobs/sha256/*/*/data"))
	require.NoError(t, err)
	require.Len(t, blobs, 4, "manifest, config and two layers")
}
