package forge

import (
	"bytes"
	"cmp"
	"crypto/rand"
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

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

// shelf is Gitea's folder of repositories, without Gitea: real git with the
// configuration that the server gives it, and the hook as the init container puts it.
type shelf struct {
	*testing.T
	root, config string
	script       string
	// pusher is who pushes; the administrator if empty.
	pusher string
}

func newShelf(t *testing.T, a *Args) *shelf {
	t.Helper()
	root := t.TempDir()
	s := &shelf{T: t, root: root, config: filepath.Join(root, "gitconfig"), script: pushScript(a)}
	_, text, found := strings.Cut(settings(a), "[git.config]\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n[")
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && !strings.HasPrefix(line, ";") {
			value = strings.ReplaceAll(value, workDir, root)
			s.git("", "config", "--file", s.config, strings.ToLower(key), value)
		}
	}
	limits := limitsConfigMap(a)["data"].(manifest.Object)["limits"].(string)
	require.NoError(t, os.WriteFile(filepath.Join(root, "limits"), []byte(limits), 0o600))
	s.install()
	return s
}

// install runs that part of the init container which comes before Gitea's own tools.
func (s *shelf) install() {
	s.Helper()
	script, _, found := strings.Cut(initScript, `"$gitea" migrate`)
	require.True(s, found)
	for name, text := range map[string]string{"limits.sh": s.script, "password": "x"} {
		require.NoError(s, os.WriteFile(filepath.Join(s.root, name), []byte(text), 0o600))
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "WORK=" + filepath.Join(s.root, "tmp"), "GITEA_WORK_DIR=" + s.root,
		"ACCOUNTS=" + s.root, "ADMIN=password", "SCRIPTS=" + s.root}
	out, err := cmd.CombinedOutput()
	require.NoError(s, err, "%s", out)
}

func (s *shelf) try(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+s.config, "GIT_CONFIG_NOSYSTEM=1", "FORGE_LIMITS="+filepath.Join(s.root, "limits"),
		"GITEA_PUSHER_NAME="+cmp.Or(s.pusher, Admin), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *shelf) git(dir string, args ...string) string {
	s.Helper()
	out, err := s.try(dir, args...)
	require.NoError(s, err, "git %s: %s", strings.Join(args, " "), out)
	return out
}

// repository makes one as Gitea does, which runs every hook in a folder.
func (s *shelf) repository(name string) string {
	s.Helper()
	path := filepath.Join(s.root, "data", "gitea-repositories", name+".git")
	s.git("", "init", "--quiet", "--bare", "--initial-branch=main", path)
	const delegate = "#!/usr/bin/env bash\ndata=$(cat)\nfor hook in hooks/pre-receive.d/*; do echo \"$data\" | \"$hook\" || exit 1; done\n"
	require.NoError(s, os.MkdirAll(filepath.Join(path, "hooks"), 0o700))
	require.NoError(s, os.WriteFile(filepath.Join(path, "hooks", "pre-receive"), []byte(delegate), 0o700))
	return path
}

// clone of a repository, where files are pushed from.
func (s *shelf) clone(path string) string {
	s.Helper()
	dir := s.TempDir()
	s.git("", "clone", "--quiet", path, dir)
	s.git(dir, "checkout", "--quiet", "-B", "main")
	return dir
}

func (s *shelf) commit(dir string, files map[string][]byte) {
	s.Helper()
	for name, content := range files {
		require.NoError(s, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(s, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	s.git(dir, "add", "--all")
	s.git(dir, "commit", "--quiet", "--message=x")
}

func folders(from, to int) map[string][]byte {
	files := map[string][]byte{}
	for i := from; i < to; i++ {
		files[fmt.Sprintf("apps/f%d/a.yaml", i)] = []byte("{}")
	}
	return files
}

func noise(t *testing.T, bytes int) []byte {
	t.Helper()
	b := make([]byte, bytes)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

// A kubelet never reads an immutable one again: a raised limit would wait for the next
// start of the server.
func TestLimitsThatChangeReachTheServerThatRuns(t *testing.T) {
	assert.NotContains(t, limitsConfigMap(args()), "immutable")
	assert.Contains(t, manifest.ConfigMap("n", "settled", nil), "immutable")
}

func TestAPushThatIsTooLargeIsRefusedWithAReason(t *testing.T) {
	a := args()
	a.MaxPush = 1 << 20
	s := newShelf(t, a)
	dir := s.clone(s.repository("acme/endpoints"))
	s.commit(dir, map[string][]byte{"small": noise(t, 900<<10)})
	s.git(dir, "push", "--quiet", "origin", "main")
	s.commit(dir, map[string][]byte{"large": noise(t, 1100<<10)})
	out, err := s.try(dir, "push", "origin", "main")
	require.Error(t, err, "it was taken")
	assert.Contains(t, out, "pack exceeds maximum allowed size")
}

// A file of zeros is small until it is unpacked.
func TestAPushThatUnpacksToALargeFileNeedsLittleMemory(t *testing.T) {
	s := newShelf(t, args())
	dir := s.clone(s.repository("acme/endpoints"))
	s.commit(dir, map[string][]byte{"zeros": make([]byte, 200<<20)})
	objects := s.git(dir, "rev-list", "--objects", "--no-object-names", "HEAD")
	cmd := exec.Command("git", "pack-objects", "--stdout", "-q")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(objects)
	pack, err := cmd.Output()
	require.NoError(t, err)
	require.Less(t, len(pack), 1<<20)
	for config, fails := range map[string]bool{s.config: false, os.DevNull: true} {
		bare := filepath.Join(t.TempDir(), "bare.git")
		s.git("", "init", "--quiet", "--bare", bare)
		cmd := exec.Command("bash", "-c", "ulimit -v 150000; exec git unpack-objects -q")
		cmd.Dir, cmd.Stdin = bare, bytes.NewReader(pack)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+config, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		assert.Equal(t, fails, err != nil, "%s", out)
	}
}

// Argo CD fetches what is pushed and checks main out.
func TestAPushThatUnpacksToMoreThanARepositoryMayTakeIsRefused(t *testing.T) {
	a := args()
	a.MaxPush, a.MaxRepository = 1<<20, 2<<20
	s := newShelf(t, a)
	path := s.repository("acme/endpoints")
	for what, test := range map[string]struct {
		write func(dir string)
		says  string
	}{
		"one file of zeros": {func(dir string) { s.commit(dir, map[string][]byte{"zeros": make([]byte, 3<<20)}) },
			"this push unpacks to more than 2 MiB"},
		"a folder in itself, in itself": {func(dir string) {
			s.commit(dir, map[string][]byte{"file": nil})
			tree := strings.TrimSpace(s.git(dir, "rev-parse", "HEAD^{tree}"))
			for range 6 {
				var list strings.Builder
				for i := range 10 {
					fmt.Fprintf(&list, "040000 tree %s\td%d\n", tree, i)
				}
				cmd := exec.Command("git", "mktree")
				cmd.Dir, cmd.Stdin = dir, strings.NewReader(list.String())
				out, err := cmd.Output()
				require.NoError(t, err)
				tree = strings.TrimSpace(string(out))
			}
			commit := strings.TrimSpace(s.git(dir, "commit-tree", "-m", "x", tree))
			s.git(dir, "reset", "--quiet", "--soft", commit)
		}, "main of endpoints has more than 10000 files or 2 MiB"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := s.clone(path)
			test.write(dir)
			out, err := s.try(dir, "push", "origin", "main")
			require.Error(t, err, "it was taken")
			assert.Contains(t, out, test.says)
		})
	}
	dir := s.clone(path)
	s.commit(dir, map[string][]byte{"zeros": make([]byte, 3<<20)})
	_, err := s.try(dir, "push", "origin", "main:refs/heads/aside")
	require.Error(t, err, "another branch took it")
}

func TestARepositoryDoesNotGrowPastItsLimit(t *testing.T) {
	a := args()
	a.MaxPush, a.MaxRepository = 1<<20, 2<<20
	s := newShelf(t, a)
	path := s.repository("acme/endpoints")
	dir := s.clone(path)
	for i := range 2 {
		s.commit(dir, map[string][]byte{fmt.Sprint(i): noise(t, 800<<10)})
		s.git(dir, "push", "--quiet", "origin", "main")
	}
	s.commit(dir, map[string][]byte{"too much": noise(t, 800<<10)})
	out, err := s.try(dir, "push", "origin", "main")
	require.Error(t, err, "it was taken")
	assert.Contains(t, out, "the repository endpoints takes 2 MiB, of at most 2: leave large files out, or have neuroscale:forge.maxRepository raised")
	_, err = s.try(dir, "push", "origin", "main:refs/heads/elsewhere")
	require.Error(t, err, "another branch took it")
	s.git(path, "branch", "old", "main")
	s.git(dir, "push", "--quiet", "origin", ":old") // deleting makes nothing larger

	dir = s.clone(s.repository("acme/platform"))
	for i := range 3 {
		s.commit(dir, map[string][]byte{fmt.Sprint(i): noise(t, 800<<10)})
		s.git(dir, "push", "--quiet", "origin", "main")
	}
	dir = s.clone(s.repository("somebody/platform"))
	s.commit(dir, map[string][]byte{"a": noise(t, 900<<10)})
	s.git(dir, "push", "--quiet", "origin", "main")
	s.commit(dir, map[string][]byte{"b": noise(t, 900<<10)})
	s.git(dir, "push", "--quiet", "origin", "main")
	s.commit(dir, map[string][]byte{"c": noise(t, 900<<10)})
	_, err = s.try(dir, "push", "origin", "main")
	assert.Error(t, err, "any repository of that name is taken for the platform's")
}

func TestATenantHasNoMoreFoldersThanItMayHaveOverAllOfItsRepositories(t *testing.T) {
	a := args()
	a.Folders = []FolderLimit{{Repositories: []string{"models", "more"}, Most: 5}, {Repositories: []string{"other"}, Most: 2}}
	s := newShelf(t, a)
	models, more, other := s.clone(s.repository("acme/models")), s.clone(s.repository("acme/more")), s.clone(s.repository("acme/other"))
	push := func(dir string) (string, error) { return s.try(dir, "push", "origin", "main") }

	s.commit(models, folders(0, 3))
	s.commit(models, map[string][]byte{"apps/README.md": nil, "docs/a/b": nil})
	out, err := push(models)
	require.NoError(t, err, out)
	s.commit(more, folders(0, 3))
	out, err = push(more)
	require.Error(t, err, "six folders of five")
	assert.Contains(t, out, "the tenant of more has 6 folders in apps/, of at most 5: remove some, or have neuroscale:tenants[].quota.applications raised")
	s.git(more, "push", "--quiet", "origin", "main:refs/heads/draft") // of which nothing becomes an Application
	s.git(more, "rm", "-r", "--quiet", "apps/f2")
	s.commit(more, map[string][]byte{"x": nil})
	out, err = push(more)
	require.NoError(t, err, out)
	s.commit(other, folders(0, 2))
	out, err = push(other)
	require.NoError(t, err, "another tenant's folders were counted: %s", out)

	t.Log("a limit that was lowered still lets go")
	limits, err := os.ReadFile(filepath.Join(s.root, "limits"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.root, "limits"), bytes.ReplaceAll(limits, []byte("folders 5"), []byte("folders 2")), 0o600))
	s.git(models, "rm", "-r", "--quiet", "apps/f2")
	s.commit(models, map[string][]byte{"x": nil})
	out, err = push(models)
	require.NoError(t, err, out)
	s.commit(models, folders(3, 4))
	_, err = push(models)
	require.Error(t, err)
}

func TestRepositoriesOfBeforeGetTheLimits(t *testing.T) {
	a := args()
	a.Folders = []FolderLimit{{Repositories: []string{"old"}, Most: 0}}
	s := newShelf(t, a)
	path := s.repository("acme/old")
	require.NoError(t, os.RemoveAll(filepath.Join(path, "hooks", "pre-receive.d")))
	s.install()
	dir := s.clone(path)
	s.commit(dir, folders(0, 1))
	_, err := s.try(dir, "push", "origin", "main")
	require.Error(t, err)
}

func TestWithoutItsLimitsNothingIsTaken(t *testing.T) {
	s := newShelf(t, args())
	dir := s.clone(s.repository("acme/endpoints"))
	s.commit(dir, folders(0, 1))
	require.NoError(t, os.Remove(filepath.Join(s.root, "limits")))
	_, err := s.try(dir, "push", "origin", "main")
	require.Error(t, err)
}

func TestTheServerReadsTheLimitsOfEveryTenant(t *testing.T) {
	r, _ := build(t, args())
	limits := r.Get(t, "ConfigMap", limitsName).Object()
	assert.Equal(t, "unlimited acme/platform\nfolder apps\nkibibytes 131072\nfolders 50 endpoints\nfolders 7 models-b\n",
		recorder.At(limits, "data.limits"))
	server := r.Get(t, "Deployment", "gitea")
	assert.True(t, r.Waits(server, r.Get(t, "ConfigMap", limitsName)))
	assert.Contains(t, recorder.At(server.Object(), "spec.template.spec.containers.0.volumeMounts"),
		map[string]any{"name": "limits", "mountPath": "/etc/forge/limits", "readOnly": true})
	more := args()
	more.Folders[1].Most++
	r2, _ := build(t, more)
	assert.Equal(t, server.Object(), r2.Get(t, "Deployment", "gitea").Object(), "a tenant restarts the forge for all")
}

func TestNothingIsMergedThatTheGuardHasNotPassed(t *testing.T) {
	code, asked := http.StatusOK, []url.Values{}
	guard := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		w.WriteHeader(code)
	}))
	defer guard.Close()
	a := args()
	a.PassedURL = guard.URL + "/passed"
	s := newShelf(t, a)
	authority := filepath.Join(s.root, "ca.crt")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: guard.Certificate().Raw}), 0o600))
	s.Setenv("FORGE_AUTHORITY", authority)
	path := s.repository("acme/endpoints")
	dir := s.clone(path)
	n := 0
	push := func(to string) error {
		n++
		s.commit(dir, map[string][]byte{"apps/a/ä b.yaml": fmt.Appendf(nil, "%d", n)})
		_, err := s.try(dir, "push", "--quiet", "origin", "HEAD:"+to)
		return err
	}
	require.NoError(t, push("refs/heads/main"))
	assert.Empty(t, asked, "an administrator's push waits for the guard")

	s.pusher = "anna"
	require.NoError(t, push("refs/heads/main"))
	require.Len(t, asked, 1)
	assert.Equal(t, "endpoints", asked[0].Get("repository"))
	out, err := exec.Command("sh", "-c", "git -C "+dir+" ls-tree -r -z HEAD | sha256sum | cut -d ' ' -f 1").Output()
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(out)), asked[0].Get("tree"))
	require.NoError(t, push("refs/heads/other"), "only main is merged into")
	assert.Len(t, asked, 1)

	for _, reference := range []string{"refs/notes/a", "refs/pull/1/head", "refs/a"} {
		assert.Error(t, push(reference), "a member writes %s", reference)
	}
	require.NoError(t, push("refs/for/main/a"), "nobody can propose")
	s.pusher = ""
	require.NoError(t, push("refs/notes/a"))
	s.pusher = "anna"
	_, err = s.try(dir, "push", "--quiet", "origin", ":refs/notes/a")
	require.Error(t, err, "a member deletes what an administrator wrote")
	for answer, want := range map[int]string{http.StatusForbidden: "the guard has not passed what main of endpoints would be", http.StatusBadGateway: "the guard does not answer (502)"} {
		s.commit(dir, map[string][]byte{"apps/b/a.yaml": []byte(want)})
		code = answer
		out, err := s.try(dir, "push", "--quiet", "origin", "HEAD:main")
		require.Error(t, err)
		assert.Contains(t, out, want)
	}
	code = http.StatusOK
	require.NoError(t, os.Remove(authority))
	for _, what := range []string{"one answers that nobody knows", "nobody answers"} {
		out, err := s.try(dir, "push", "--quiet", "origin", "HEAD:main")
		require.Error(t, err, what)
		assert.Contains(t, out, "the guard does not answer (000)", what)
		guard.Close()
	}
}
