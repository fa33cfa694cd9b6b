package layer

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
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

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/render"
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

// archive packs a tree of one object, which it returns beside the commit that has
// to become of it.
func (w *workshop) archive(t *testing.T, kind string) (file, commit string) {
	t.Helper()
	return w.pack(t, rendered(t, kind))
}

func rendered(t *testing.T, kinds ...string) *render.Tree {
	t.Helper()
	var objects []map[string]any
	for _, kind := range kinds {
		objects = append(objects, map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "system:object"}})
	}
	tree, err := render.FromObjects("test", "v1", objects)
	require.NoError(t, err)
	return tree
}

func (w *workshop) pack(t *testing.T, tree *render.Tree) (file, commit string) {
	t.Helper()
	archive, err := tree.Archive()
	require.NoError(t, err)
	file = filepath.Join(w.dir, "tree.tgz")
	require.NoError(t, os.WriteFile(file, archive, 0o600))
	return file, commitOf(tree, "Layer test")
}

func (w *workshop) run(t *testing.T, script, archive string, env ...string) string {
	t.Helper()
	output, err := w.try(script, archive, env...)
	require.NoErrorf(t, err, "%s: %s", script, output)
	return output
}

func (w *workshop) try(script, archive string, env ...string) (string, error) {
	command := exec.Command("bash", filepath.Join(w.dir, script))
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "WORK=" + filepath.Join(w.dir, "work"), "CREDENTIALS=" + w.dir,
		"REPOSITORY=" + w.repository, "TREE=" + archive, "MESSAGE=Layer test",
	}, env...)
	output, err := command.CombinedOutput()
	return string(output), err
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
	archive, want := first.archive(t, "A")
	assert.Contains(t, first.run(t, "push.sh", archive, tag, "COMMIT="+want), "pushed")
	assert.Contains(t, first.run(t, "push.sh", archive, tag, "COMMIT="+want), "is there")
	second.run(t, "push.sh", archive, tag, "COMMIT="+want)

	commit := first.git(t, "rev-parse", "refs/tags/layer/knative/abc")
	assert.Equal(t, commit, second.git(t, "rev-parse", "refs/tags/layer/knative/abc"), "the commit is not reproducible")
	assert.Contains(t, first.git(t, "show", commit+":a.system:object.yaml"), "kind: A")
}

// What Argo CD is asked for is computed, what it gets is made by git: for every layer
// there is, whatever the caller's settings are.
func TestTheComputedCommitIsTheOneThatGitMakes(t *testing.T) {
	r, err := render.New(gitops.FS, "")
	require.NoError(t, err)
	trees := map[string]*render.Tree{"many": rendered(t, "A", "B", "C", "Z")}
	for _, name := range r.Layers() {
		trees[name], err = r.Layer(t.Context(), name)
		require.NoError(t, err)
	}
	for name, tree := range trees {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t)
			archive, want := w.pack(t, tree)
			w.run(t, "push.sh", archive, "TAG=layer/x/y", "COMMIT="+want, "GIT_DEFAULT_HASH=sha256", "TZ=Asia/Kolkata", "LANG=de_DE.UTF-8")
			assert.Equal(t, want, w.git(t, "rev-parse", "refs/tags/layer/x/y"))
		})
	}
}

func TestPushPutsBackATagThatSomebodyMoved(t *testing.T) {
	const tag = "TAG=layer/knative/abc"
	w := newWorkshop(t)
	archive, wrong := w.archive(t, "Wrong")
	w.run(t, "push.sh", archive, tag, "COMMIT="+wrong)
	archive, right := w.archive(t, "Right")
	assert.Contains(t, w.run(t, "push.sh", archive, tag, "COMMIT="+right), "pushed")
	assert.Equal(t, right, w.git(t, "rev-parse", "refs/tags/layer/knative/abc"))
}

func TestPushRefusesACommitThatNobodyWaitsFor(t *testing.T) {
	w := newWorkshop(t)
	_, wrong := w.archive(t, "Wrong")
	archive, right := w.archive(t, "Right")
	output, err := w.try("push.sh", archive, "TAG=layer/knative/abc", "COMMIT="+wrong)
	require.Error(t, err)
	assert.Contains(t, output, "the tree is the commit "+right+", but the program computed "+wrong)
	assert.Empty(t, w.git(t, "tag"))
}

func TestSeedFillsOnlyARepositoryWithoutMain(t *testing.T) {
	w := newWorkshop(t)
	archive, _ := w.archive(t, "First")
	assert.Contains(t, w.run(t, "seed.sh", archive), "main pushed")
	merged := w.git(t, "rev-parse", "refs/heads/main")
	archive, _ = w.archive(t, "Second")
	assert.Contains(t, w.run(t, "seed.sh", archive), "main is there")
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

// runPython runs a script as a Job does, with files of these names beside it, against
// handler as the API server, and returns its exit code and output.
func runPython(t *testing.T, script string, handler http.HandlerFunc, files map[string][]byte, env ...string) (int, string) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	dir := t.TempDir()
	files = maps.Clone(files)
	maps.Copy(files, map[string][]byte{
		"script.py": []byte(script), "apiserver.py": []byte(apiserverScript), "token": []byte("the-token\n"),
		"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	})
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	command := exec.Command("python3", "script.py")
	command.Dir = dir
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "ACCOUNT=" + dir, "PYTHONDONTWRITEBYTECODE=1",
		"KUBERNETES_SERVICE_HOST=" + address.Hostname(), "KUBERNETES_SERVICE_PORT=" + address.Port(),
	}, env...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err = command.Run()
	require.NotNil(t, command.ProcessState, "python3: %v", err)
	return command.ProcessState.ExitCode(), output.String()
}

// runProbes runs probe.py.
func runProbes(t *testing.T, handler http.HandlerFunc, probes []Probe) (int, string) {
	t.Helper()
	return runPython(t, probeScript, handler, map[string][]byte{"probes.json": []byte(encodeProbes(probes))}, "PROBES=probes.json", "SECONDS=1")
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

func TestAnOutlineIsMadeWholeOnceAndInArgoCDsName(t *testing.T) {
	metadata := func(managers ...string) map[string]any {
		fields := []any{}
		for _, manager := range managers {
			fields = append(fields, map[string]any{"manager": manager})
		}
		return map[string]any{"metadata": map[string]any{"resourceVersion": "7", "managedFields": fields}}
	}
	for name, test := range map[string]struct {
		managers []string
		patched  int
		exit     int
		asks     int
		output   string
	}{
		"an outline":                      {[]string{"neuroscale"}, http.StatusOK, 0, 2, "things.example.com: defined"},
		"Argo CD was there before":        {[]string{"neuroscale", "argocd-controller"}, http.StatusOK, 0, 1, "things.example.com: is whole"},
		"somebody changes it meanwhile":   {[]string{"neuroscale"}, http.StatusConflict, 1, 2, "things.example.com: 409 it has changed"},
		"the server has no use for it":    {[]string{"neuroscale"}, http.StatusUnprocessableEntity, 1, 2, "things.example.com: 422 "},
		"the account may not do that yet": {[]string{"neuroscale"}, http.StatusForbidden, 1, 2, "things.example.com: 403 "},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			var applied map[string]any
			exit, output := runPython(t, defineScript, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, fmt.Sprintf("%s %s %s", r.Method, r.URL, r.Header.Get("Authorization")))
				if r.Method == http.MethodPatch {
					body, _ := io.ReadAll(r.Body)
					_ = json.Unmarshal(body, &applied)
					if test.patched != http.StatusOK {
						http.Error(w, "it has changed", test.patched)
						return
					}
				}
				_ = json.NewEncoder(w).Encode(metadata(test.managers...))
			}, map[string][]byte{"d": compress([]any{map[string]any{
				"metadata": map[string]any{"name": "things.example.com"}, "spec": "whole",
			}})}, "DEFINITIONS=d", "MANAGER=argocd-controller")
			assert.Equal(t, test.exit, exit, output)
			assert.Contains(t, output, test.output)
			const at = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com"
			assert.Equal(t, []string{
				"GET " + at + " Bearer the-token", "PATCH " + at + "?force=true&fieldManager=argocd-controller Bearer the-token",
			}[:test.asks], asked)
			if test.asks > 1 {
				assert.Equal(t, map[string]any{
					"metadata": map[string]any{"name": "things.example.com", "resourceVersion": "7"}, "spec": "whole",
				}, applied, "what Argo CD made of it meanwhile would be undone")
			}
		})
	}
}
