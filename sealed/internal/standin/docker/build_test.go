package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
)

const builtToken = "docker:index/image:Image"

// folder is one with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, dir, name, content)
	}
	return dir
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

// built are inputs of an image of a folder.
func built(name, dir string, build map[string]any) servertest.Props {
	inputs := map[string]any{"context": dir, "dockerfile": filepath.Join(dir, "Dockerfile")}
	for key, value := range build {
		inputs[key] = value
	}
	return resource.NewPropertyMapFromMap(map[string]any{"imageName": name, "build": inputs})
}

func TestABuildIsGivenWhatIsNotIgnored(t *testing.T) {
	dir := folder(t, map[string]string{
		".dockerignore": "*\n!cmd\n!deep/inside\n**/*_test.go\n", "Dockerfile": "FROM scratch\n",
		"cmd/main.go": "package main", "cmd/main_test.go": "package main", "deep/inside/a": "a", "deep/outside/b": "b", "secret": "hush",
	})
	require.NoError(t, os.Symlink("main.go", filepath.Join(dir, "cmd", "link.go")))
	c, err := newBuildContext(dir, filepath.Join(dir, "Dockerfile"))
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, c.archive(&archive))
	got := map[string]string{}
	for r := tar.NewReader(&archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		assert.Zero(t, h.Uid+h.Gid, "%s belongs to whoever built it", h.Name)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		got[h.Name] = string(content) + h.Linkname
	}
	assert.Equal(t, map[string]string{
		"Dockerfile": "FROM scratch\n", "cmd/": "", "cmd/main.go": "package main", "cmd/link.go": "main.go", "deep/inside/": "", "deep/inside/a": "a",
	}, got)
}

func TestABuildIsMadeAnewByWhatItIsGiven(t *testing.T) {
	e := start(t)
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "1", "ignored": "1", ".dockerignore": "ignored\n"})
	urn := servertest.URN(builtToken, "x")
	inputs, failures := e.Check(urn, nil, built("127.0.0.1:5000/a:1", dir, nil))
	require.Empty(t, failures)
	assert.Equal(t, "linux/"+runtime.GOARCH, inputs["build"].ObjectValue()["platform"].StringValue())
	r := servertest.Resource{URN: urn, ID: "127.0.0.1:5000/a:1", Inputs: inputs, Outputs: inputs}
	put(t, dir, "ignored", "2")
	assert.Empty(t, e.Diff(r, built("127.0.0.1:5000/a:1", dir, nil)).GetDiffs(), "an update without a change would build it anew")
	for name, change := range map[string]func() servertest.Props{
		"a file": func() servertest.Props { put(t, dir, "a", "2"); return built("127.0.0.1:5000/a:1", dir, nil) },
		"a mode": func() servertest.Props {
			require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o755))
			return built("127.0.0.1:5000/a:1", dir, nil)
		},
		"a target": func() servertest.Props { return built("127.0.0.1:5000/a:1", dir, map[string]any{"target": "other"}) },
		"an arg": func() servertest.Props {
			return built("127.0.0.1:5000/a:1", dir, map[string]any{"args": map[string]any{"A": "b"}})
		},
		"a new name": func() servertest.Props { return built("127.0.0.1:5000/a:2", dir, nil) },
	} {
		diff := e.Diff(r, change())
		assert.NotEmpty(t, diff.GetDiffs(), name)
		assert.Empty(t, diff.GetReplaces(), "%s: the real provider updates it", name)
		require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o644))
		put(t, dir, "a", "1")
	}
	preview := e.PreviewUpdate(r, built("127.0.0.1:5000/a:2", dir, nil))
	assert.True(t, preview["repoDigest"].IsComputed(), "a preview tells the digest of an image that is not built")
	unknown := built("127.0.0.1:5000/a:1", dir, nil)
	unknown["build"].ObjectValue()["args"] = resource.MakeComputed(resource.NewProperty(""))
	inputs, failures = e.Check(urn, nil, unknown)
	require.Empty(t, failures)
	assert.NotEmpty(t, inputs["build"].ObjectValue()["contextDigest"].StringValue())
}

func TestABuildThatCannotBeIsRefused(t *testing.T) {
	e := start(t)
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	for name, test := range map[string]struct {
		inputs servertest.Props
		want   string
	}{
		"no Dockerfile": {built("127.0.0.1:5000/a:1", dir, map[string]any{"dockerfile": "missing/Dockerfile"}), `there is no Dockerfile "missing/Dockerfile"`},
		"outside":       {built("127.0.0.1:5000/a:1", t.TempDir(), map[string]any{"dockerfile": filepath.Join(dir, "Dockerfile")}), "is outside of the build's folder"},
		"short name":    {built("a:1", dir, nil), "it needs its registry"},
		"builder":       {built("127.0.0.1:5000/a:1", dir, map[string]any{"builderVersion": "3"}), "neither BuilderV1 nor BuilderBuildKit"},
		"cache":         {built("127.0.0.1:5000/a:1", dir, map[string]any{"cacheFrom": map[string]any{}}), "has a property the stand-in does not know"},
		"preview":       {resource.NewPropertyMapFromMap(map[string]any{"imageName": "127.0.0.1:5000/a:1", "buildOnPreview": true}), "builds nothing in a preview"},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.Check(servertest.URN(builtToken, "x"), nil, test.inputs)
			require.NotEmpty(t, failures)
			assert.Contains(t, failures[0].Property+" "+failures[0].Reason, test.want)
		})
	}
}

func TestAnIgnoreFileOfTheDockerfileGoesFirst(t *testing.T) {
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": "a\n", "Dockerfile.dockerignore": "b\n*ignore\n", "a": "", "b": ""})
	c, err := newBuildContext(dir, filepath.Join(dir, "Dockerfile"))
	require.NoError(t, err)
	var names []string
	require.NoError(t, c.walk(func(name string, _ fs.FileInfo) error { names = append(names, name); return nil }))
	assert.Equal(t, []string{"Dockerfile", "a"}, names)
}

func TestTheStepThatFailedAndWhatItPrintedAreSaid(t *testing.T) {
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	vertex := func(name, failed string) []byte {
		v := append(field(1, []byte("sha256:0")), field(vertexName, []byte(name))...)
		v = protowire.AppendVarint(protowire.AppendTag(v, 4, protowire.VarintType), 1)
		if failed != "" {
			v = append(v, field(vertexError, []byte(failed))...)
		}
		return field(statusVertexes, v)
	}
	trace := append(vertex("[1/2] FROM scratch", ""), vertex("[2/2] RUN false", "exit code: 1")...)
	trace = append(trace, field(statusLogs, field(logMessage, []byte("one\ntwo\n")))...)
	text, err := json.Marshal(trace)
	require.NoError(t, err)
	aux := json.RawMessage(text)
	buildKit := &record{}
	buildKit.hear(jsonstream.Message{ID: buildTrace, Aux: &aux})
	assert.Equal(t, " ([2/2] RUN false); it printed:\none\ntwo", buildKit.String())

	classic := &record{}
	for _, line := range []string{"Step 1/2 : FROM scratch\n", " ---> \n", "Step 2/2 : RUN false\n", "three\n"} {
		classic.hear(jsonstream.Message{Stream: line})
	}
	assert.Equal(t, " (Step 2/2 : RUN false); it printed:\nStep 1/2 : FROM scratch\n--->\nStep 2/2 : RUN false\nthree", classic.String())
	cut := &record{}
	cut.hearBuildKit(trace[:len(trace)-3])
	assert.Equal(t, " ([2/2] RUN false)", cut.String(), "half a message is an error")
}
