package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestPredictPrintsExactlyTheBody(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
	m.services["slow"] = `{"conditions":[{"type":"Ready","status":"False","message":"no pods"}]}`
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(iris(t))})
	code, out, errout := m.run("predict", "demo-iris-2")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "{\"predictions\":[1,1]}\n", out)
	assert.Empty(t, errout)

	code, out, _ = m.run("predict", "demo-iris-2", "-o", "json")
	require.Equal(t, 0, code)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	assert.ElementsMatch(t, []string{"body", "status", "latencyMs", "url", "host"}, slices.Collect(maps.Keys(answer)))

	for name, want := range map[string]string{
		"demo-iris-3": `neuroscale: no endpoint "demo-iris-3" in namespace default (did you mean "demo-iris-2"?): there are demo-iris-2, slow`,
		"slow":        "neuroscale: endpoint slow in namespace default is not ready: Ready: no pods",
	} {
		code, out, errout = m.run("predict", name)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Equal(t, want+"\n", errout)
	}
}

func TestPredictReadsTheRequestFromWhereItIsTold(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = string(raw)
	}))
	defer s.Close()
	m := newMachine(t)
	m.input = `{"from":"stdin"}`
	m.write("request.json", `{"from":"file"}`)
	for data, want := range map[string]string{
		`{"from":"flag"}`: `{"from":"flag"}`,
		"@" + filepath.Join(m.root, "request.json"): `{"from":"file"}`,
		"-": `{"from":"stdin"}`,
	} {
		code, _, errout := m.run("predict", "x", "--gateway", s.URL, "--host", "h", "--data", data)
		require.Equal(t, 0, code, errout)
		assert.Equal(t, want, got)
	}
	code, _, errout := m.run("predict", "x", "--gateway", s.URL, "--host", "h", "--data", "@/nowhere.json")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "read the request (--data @/nowhere.json)")
}

func TestPredictWithoutTheAPIServerUsesTheUsualHostName(t *testing.T) {
	m := newMachine(t)
	m.up()
	gateway := iris(t)
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(gateway)})
	m.api.Close()
	code, out, errout := m.run("predict", "demo-iris-2")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "{\"predictions\":[1,1]}\n", out)
	assert.Contains(t, errout, "using the usual one")
}

func TestPredictBelievesNobodyTheAuthorityDoesNotKnow(t *testing.T) {
	gateway := iris(t)
	m := newMachine(t)
	m.write("key", platformKey)
	m.write("ca.crt", authority)
	m.write("text", "hello")
	ask := func(more ...string) (int, string) {
		code, _, errout := m.run(append([]string{"predict", "demo-iris-2", "--gateway", gateway, "--host", "demo-iris-2-predictor.default.neuroscale.test",
			"--key-file", filepath.Join(m.root, "key")}, more...)...)
		return code, errout
	}
	code, errout := ask()
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "x509")
	code, errout = ask("--ca", filepath.Join(m.root, "ca.crt"))
	assert.Zero(t, code, errout)
	_, errout = ask("--ca", filepath.Join(m.root, "text"))
	assert.Contains(t, errout, "text: it is no certificate in PEM form")
	_, errout = ask("--ca", "/nowhere")
	assert.Contains(t, errout, "read the certificate authority (--ca /nowhere)")
}
