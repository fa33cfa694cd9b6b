package render

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestModuleProblemsSayWhatToDo(t *testing.T) {
	m := Module{Path: "example.org/tool", Version: "v1.2.3", Sum: "h1:good"}
	require.NoError(t, m.verify("h1:good"))
	assert.EqualError(t, m.verify("h1:bad"), "module example.org/tool@v1.2.3 has checksum h1:bad, but gitops/upstream.yaml pins h1:good: "+
		"if the version was changed on purpose set its new checksum there, else do not trust this download")
	for said, want := range map[string]string{
		"verifying module: checksum mismatch\n\tSECURITY ERROR":       "does not match the Go checksum database",
		"Get \"https://proxy\": dial tcp: lookup proxy: no such host": "the module proxy is not reachable",
		"reading https://proxy/x.zip: 403 Forbidden":                  "is refused by the module proxy",
		"unknown revision v1.2.3":                                     "is refused by the module proxy",
		"disk full":                                                   "cannot be downloaded: disk full",
	} {
		problem, everyone := refusal(m, said)
		assert.ErrorContains(t, problem, want, said)
		assert.Equal(t, strings.Contains(said, "dial tcp"), everyone, said)
	}
}

func TestWithoutGoTheErrorSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := goModDownload(context.Background(), []Module{{Path: "example.org/tool", Version: "v1"}})
	assert.ErrorContains(t, err, "there is no go on PATH: install Go")
}

func TestWithoutNetworkThereIsOneSentence(t *testing.T) {
	// Nothing listens on port 1, and an empty module cache has nothing to offer.
	t.Setenv("GOPROXY", "http://127.0.0.1:1")
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	_, err := goModDownload(context.Background(), []Module{{Path: "example.org/a", Version: "v1.0.0"}, {Path: "example.org/b", Version: "v1.0.0"}})
	require.ErrorContains(t, err, "the module proxy is not reachable: check the network or GOPROXY")
	assert.NotContains(t, err.Error(), "\n")
}

func TestAModuleThatIsNotThePinnedOneIsRefused(t *testing.T) {
	files := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(gitops.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		files[p] = &fstest.MapFile{Data: data}
		return err
	}))
	kserve := platform(t).Upstream().Modules["kserve"]
	text := string(files[UpstreamFile].Data)
	files[UpstreamFile] = &fstest.MapFile{Data: []byte(replaceOnce(t, text, kserve.Sum, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))}
	r, err := New(files, shared)
	require.NoError(t, err)
	_, err = r.Layer(context.Background(), "kserve-runtimes")
	assert.ErrorContains(t, err, "has checksum "+kserve.Sum+", but gitops/upstream.yaml pins h1:AAAA")
}
