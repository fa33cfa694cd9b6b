package layer

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// workshop has the scripts, credentials and an empty repository.
type workshop struct {
	dir, repository string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{dir: t.TempDir()}
	w.repository = filepath.Join(w.dir, "repository.git")
	for name, content := range map[string]string{
		"askpass.sh": askpassScript, "git.sh": gitScript, "push.sh": pushScript, "seed.sh": seedScript,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o700))
	}
	require.NoError(t, exec.Command("git", "init", "--quiet", "--bare", w.repository).Run())
	return w
}

// archive packs one file with tar.
func (w *workshop) archive(t *testing.T, content string) string {
	t.Helper()
	source, archive := filepath.Join(w.dir, "source"), filepath.Join(w.dir, "tree.tgz")
	require.NoError(t, os.MkdirAll(source, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "object.yaml"), []byte(content), 0o644))
	require.NoError(t, exec.Command("tar", "-czf", archive, "-C", source, ".").Run())
	return archive
}

func (w *workshop) run(t *testing.T, script, archive string, env ...string) string {
	t.Helper()
	command := exec.Command("bash", filepath.Join(w.dir, script))
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "WORK=" + filepath.Join(w.dir, "work"), "CREDENTIALS=" + w.dir,
		"REPOSITORY=" + w.repository, "TREE=" + archive, "MESSAGE=Layer test",
	}, env...)
	output, err := command.CombinedOutput()
	require.NoErrorf(t, err, "%s: %s", script, output)
	return string(output)
}

func (w *workshop) git(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.Command("git", append([]string{"-C", w.repository}, args...)...).CombinedOutput()
	require.NoErrorf(t, err, "%s", output)
	return strings.TrimSpace(string(output))
}

func TestPushMakesTheTagOnceAndTheSameCommitEverywhere(t *testing.T) {
	const tag = "TAG=layer/knative/abc"
	first, second := newWorkshop(t), newWorkshop(t)
	archive := first.archive(t, "kind: A\n")
	assert.Contains(t, first.run(t, "push.sh", archive, tag), "pushed")
	assert.Contains(t, first.run(t, "push.sh", archive, tag), "is there")
	second.run(t, "push.sh", archive, tag)

	commit := first.git(t, "rev-parse", "refs/tags/layer/knative/abc")
	assert.Equal(t, commit, second.git(t, "rev-parse", "refs/tags/layer/knative/abc"), "the commit is not reproducible")
	assert.Equal(t, "kind: A", first.git(t, "show", commit+":object.yaml"))
}

func TestPushPutsBackATagThatSomebodyMoved(t *testing.T) {
	const tag = "TAG=layer/knative/abc"
	w := newWorkshop(t)
	w.run(t, "push.sh", w.archive(t, "kind: Wrong\n"), tag)
	wrong := w.git(t, "rev-parse", "refs/tags/layer/knative/abc")
	w.run(t, "push.sh", w.archive(t, "kind: Right\n"), tag)
	assert.NotEqual(t, wrong, w.git(t, "rev-parse", "refs/tags/layer/knative/abc"))
	assert.Equal(t, "kind: Right", w.git(t, "show", "refs/tags/layer/knative/abc:object.yaml"))
}

func TestSeedFillsOnlyARepositoryWithoutMain(t *testing.T) {
	w := newWorkshop(t)
	assert.Contains(t, w.run(t, "seed.sh", w.archive(t, "kind: First\n")), "main pushed")
	merged := w.git(t, "rev-parse", "refs/heads/main")
	assert.Contains(t, w.run(t, "seed.sh", w.archive(t, "kind: Second\n")), "main is there")
	assert.Equal(t, merged, w.git(t, "rev-parse", "refs/heads/main"), "what people merged was overwritten")
}

func TestAskpassReadsTheMountedFiles(t *testing.T) {
	w := newWorkshop(t)
	for name, content := range map[string]string{"username": "writer", "password": "secret"} {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600))
	}
	for question, want := range map[string]string{
		"Username for 'http://gitea': ": "writer", "Password for 'http://writer@gitea': ": "secret",
	} {
		command := exec.Command(filepath.Join(w.dir, "askpass.sh"), question)
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "CREDENTIALS=" + w.dir}
		output, err := command.Output()
		require.NoError(t, err)
		assert.Equal(t, want, string(output))
	}
}

// runProbes runs probe.py against handler and returns its exit code and output.
func runProbes(t *testing.T, handler http.HandlerFunc, probes []Probe) (int, string) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{
		"probe.py": []byte(probeScript), "probes.json": []byte(encodeProbes(probes)),
		"token": []byte("the-token\n"), "ca.crt": authority,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	command := exec.Command("python3", filepath.Join(dir, "probe.py"))
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "ACCOUNT=" + dir, "PROBES=" + filepath.Join(dir, "probes.json"), "SECONDS=1",
		"KUBERNETES_SERVICE_HOST=" + address.Hostname(), "KUBERNETES_SERVICE_PORT=" + address.Port(),
	}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err = command.Run()
	require.NotNil(t, command.ProcessState, "python3: %v", err)
	return command.ProcessState.ExitCode(), output.String()
}

func probe(name string, expect Expect, by string) Probe {
	return Probe{
		Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Thing",
			"metadata": map[string]any{"name": name, "namespace": "here"},
		},
		Resource: "things", Expect: expect, By: by,
	}
}

func TestProbe(t *testing.T) {
	const denial = `admission webhook "check.example.com" denied the request: no`
	const native = "things.example.com \"bad\" is forbidden: ValidatingAdmissionPolicy 'no-things' with binding 'no-things' denied request: no"
	status := func(code int, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(map[string]any{"message": message})
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		probe  Probe
		exit   int
		output string
	}{
		"admitted":                 {status(201, ""), probe("good", Admit, ""), 0, "expected admit: 201"},
		"not admitted":             {status(403, denial), probe("good", Admit, ""), 1, "expected admit: 403 " + denial},
		"denied":                   {status(400, denial), probe("bad", Deny, "check.example.com"), 0, "expected deny: 400"},
		"denied by another":        {status(400, denial), probe("bad", Deny, "other.example.com"), 1, "not answered as expected"},
		"not denied":               {status(201, ""), probe("bad", Deny, "check.example.com"), 1, "expected deny: 201"},
		"denied by a policy":       {status(422, native), probe("bad", Deny, "no-things"), 0, "expected deny: 422"},
		"denied by another policy": {status(422, native), probe("bad", Deny, "no-thing"), 1, "not answered as expected"},
		"webhook is missing":       {status(500, "failed calling webhook"), probe("bad", Deny, "check.example.com"), 1, "failed calling webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			exit, output := runProbes(t, test.answer, []Probe{test.probe})
			assert.Equal(t, test.exit, exit, output)
			assert.Contains(t, output, test.output)
		})
	}
}

func TestProbeOnlyAsksAndTriesAgain(t *testing.T) {
	var requests []string
	exit, output := runProbes(t, func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, fmt.Sprintf("%s %s %s", r.Method, r.URL, r.Header.Get("Authorization")))
		if len(requests) == 1 {
			http.Error(w, "no endpoints available for service webhook", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}, []Probe{probe("good", Admit, "")})
	assert.Equal(t, 0, exit, output)
	const want = "POST /apis/example.com/v1/namespaces/here/things?dryRun=All&fieldManager=neuroscale-probe Bearer the-token"
	assert.Equal(t, []string{want, want}, requests)
}
