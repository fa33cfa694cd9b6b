package objectstore

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	dir := t.TempDir()
	model := filepath.Join(dir, "store", "examples", "models", "v1")
	require.NoError(t, os.MkdirAll(model, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(model, "model.joblib"), []byte("123456789"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(model, "meta.gz"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "store", "examples", "top"), []byte("t"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644))
	require.NoError(t, os.Symlink(filepath.Join(dir, "secret"), filepath.Join(model, "link")))
	s := httptest.NewServer(Handler(filepath.Join(dir, "store"), slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, s *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(s.URL + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

func TestListNamesExactlyTheObjectsUnderThePrefix(t *testing.T) {
	s := serve(t)
	for prefix, want := range map[string][]string{
		"models%2Fv1%2F":             {"models/v1/meta.gz", "models/v1/model.joblib"},
		"models%2Fv1%2Fmodel.joblib": {"models/v1/model.joblib"},
		"models%2Fv2%2F":             {},
		"":                           {"models/v1/meta.gz", "models/v1/model.joblib", "top"},
	} {
		res, body := get(t, s, "/storage/v1/b/examples/o?projection=noAcl&prettyPrint=false&prefix="+prefix)
		require.Equal(t, http.StatusOK, res.StatusCode)
		var list struct{ Items []object }
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		names := []string{}
		for _, o := range list.Items {
			names = append(names, o.Name)
		}
		require.Equal(t, want, names, prefix)
	}
}

func TestDelimiterFoldsFolders(t *testing.T) {
	_, body := get(t, serve(t), "/storage/v1/b/examples/o?delimiter=%2F")
	var list struct {
		Items    []object
		Prefixes []string
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.Equal(t, []string{"models/"}, list.Prefixes)
	require.Len(t, list.Items, 1)
}

// The checksums are the published check values of "123456789".
func TestDownloadCarriesTheChecksumsClientsVerify(t *testing.T) {
	s := serve(t)
	for _, path := range []string{
		"/download/storage/v1/b/examples/o/models%2Fv1%2Fmodel.joblib?alt=media&generation=1",
		"/storage/v1/b/examples/o/models%2Fv1%2Fmodel.joblib?alt=media",
		"/examples/models/v1/model.joblib",
	} {
		res, body := get(t, s, path)
		require.Equal(t, http.StatusOK, res.StatusCode, path)
		require.Equal(t, "123456789", body)
		require.Equal(t, "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==", res.Header.Get("X-Goog-Hash"))
		require.Equal(t, "application/octet-stream", res.Header.Get("Content-Type"))
	}
}

func TestMetadataDescribesTheObject(t *testing.T) {
	_, body := get(t, serve(t), "/storage/v1/b/examples/o/models%2Fv1%2Fmeta.gz")
	var o object
	require.NoError(t, json.Unmarshal([]byte(body), &o))
	require.Equal(t, "models/v1/meta.gz", o.Name)
	require.Equal(t, "1", o.Size)
	require.Equal(t, "application/gzip", o.ContentType)
}

func TestNothingOutsideABucketCanBeRead(t *testing.T) {
	s := serve(t)
	for _, path := range []string{
		"/examples/../../secret",
		"/examples/%2e%2e/%2e%2e/secret",
		"/%2e%2e/secret",
		"/..%2Fsecret",
		"/examples/models/v1/link",
		"/storage/v1/b/examples/o/..%2F..%2Fsecret?alt=media",
		"/storage/v1/b/examples/o/%2Fetc%2Fpasswd?alt=media",
		"/storage/v1/b/..%2F/o?prefix=",
		"/storage/v1/b/../o?prefix=",
		"/storage/v1/b/examples/o/models?alt=media",
		"/storage/v1/b/nobucket/o?prefix=",
		"/storage/v1/b/examples/acl",
		"/",
	} {
		res, body := get(t, s, path)
		require.Equal(t, http.StatusNotFound, res.StatusCode, path)
		require.NotContains(t, body, "root:")
		require.NotEqual(t, "secret", body)
	}
}

func TestWritingIsRefused(t *testing.T) {
	res, err := http.Post(serve(t).URL+"/upload/storage/v1/b/examples/o", "text/plain", nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}
