package git

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git/gittest"
)

const (
	user     = "ops"
	password = "p@ss 'word"
)

// forge serves a repository with one commit to whoever knows the password.
func forge(t *testing.T) (url, repository string) {
	t.Helper()
	handler, repository := serving(t)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/endpoints.git", repository
}

// serving is what forge serves.
func serving(t *testing.T) (handler http.Handler, repository string) {
	t.Helper()
	root := t.TempDir()
	repository = filepath.Join(root, "endpoints.git")
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", repository},
		{"-C", repository, "config", "http.receivepack", "true"},
	} {
		_, err := Run(t.Context(), root, args...)
		require.NoError(t, err)
	}
	seed := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(seed, "README.md"), []byte("hello\n"), 0o644))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "Begin"},
		{"push", "--quiet", repository, "main"},
	} {
		_, err := Run(t.Context(), seed, args...)
		require.NoError(t, err)
	}
	return gittest.Guarded(user, password, gittest.Backend(t, root, user)), repository
}

// pemOf is the certificate of a server, which has signed it itself.
func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestAForgeIsBelievedIfItsAuthorityIsKnown(t *testing.T) {
	handler, _ := serving(t)
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	at := Remote{URL: server.URL + "/endpoints.git", Username: user, Password: password, Authority: pemOf(server)}
	// What the caller trusts does not count.
	t.Setenv("GIT_SSL_CAINFO", "/nowhere")
	t.Setenv("GIT_SSL_NO_VERIFY", "true")
	c, err := Clone(t.Context(), at, Author{"A", "a@example.com"}, t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.Dir, "new"), nil, 0o600))
	require.NoError(t, c.Commit(t.Context(), "Add new"))
	require.NoError(t, c.Push(t.Context()))

	at.Authority = ""
	_, err = Clone(t.Context(), at, Author{}, t.TempDir())
	require.ErrorContains(t, err, "certificate")
}

// logged puts a git first in PATH that notes its arguments and its environment.
func logged(t *testing.T) (calls func() string) {
	t.Helper()
	real, err := Run(t.Context(), "", "--exec-path")
	require.NoError(t, err)
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	script := "#!/bin/sh\nprintf '%s\\n' \"$*\" >> " + log + "\nenv >> " + log + "\nexec " + filepath.Join(real, "git") + " \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() string {
		raw, err := os.ReadFile(log)
		require.NoError(t, err)
		return string(raw)
	}
}

func TestAPushReachesTheForgeAndThePasswordOnlyItsFile(t *testing.T) {
	url, repository := forge(t)
	calls := logged(t)
	dir := filepath.Join(t.TempDir(), "it's here")
	require.NoError(t, os.Mkdir(dir, 0o755))
	c, err := Clone(t.Context(), Remote{URL: url, Username: user, Password: password}, Author{"A Person", "person@example.com"}, dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.Dir, "new.yaml"), []byte("a: b\n"), 0o644))
	require.NoError(t, c.Commit(t.Context(), "Add new"))
	require.NoError(t, c.Push(t.Context()))

	said, err := Run(t.Context(), repository, "log", "-1", "--format=%an <%ae> %s", "main")
	require.NoError(t, err)
	assert.Equal(t, "A Person <person@example.com> Add new", said)
	files, err := Run(t.Context(), repository, "ls-tree", "--name-only", "main")
	require.NoError(t, err)
	assert.Equal(t, "README.md\nnew.yaml", files)

	info, err := os.Stat(filepath.Join(dir, "credentials"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "others can read the password")
	config, err := os.ReadFile(filepath.Join(c.Dir, ".git", "config"))
	require.NoError(t, err)
	for what, text := range map[string]string{"the calls": calls(), "the clone's configuration": string(config)} {
		for _, secret := range []string{"p@ss", "p%40ss"} {
			assert.NotContains(t, text, secret, "the password is in %s", what)
		}
	}
}

func TestNobodysSettingsReachTheForge(t *testing.T) {
	url, _ := forge(t)
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = http://\n"), 0o600))
	for name, value := range map[string]string{
		"HOME": home, "http_proxy": "http://127.0.0.1:1", "GIT_DIR": "/nowhere", "GIT_ASKPASS": "/bin/false",
	} {
		t.Setenv(name, value)
	}
	_, err := Clone(t.Context(), Remote{URL: url, Username: user, Password: password}, Author{}, t.TempDir())
	require.NoError(t, err)
}

func TestAFailureSaysWhatGitSaidAndNoPassword(t *testing.T) {
	url, _ := forge(t)
	_, err := Clone(t.Context(), Remote{URL: url, Username: user, Password: "wrong-one"}, Author{}, t.TempDir())
	require.ErrorContains(t, err, "git clone: ")
	assert.NotContains(t, err.Error(), "wrong-one")
	assert.NotContains(t, err.Error(), "\n")
	_, err = Clone(t.Context(), Remote{URL: "endpoints"}, Author{}, t.TempDir())
	require.EqualError(t, err, `clone "endpoints": it is not a URL`)
	_, err = Run(t.Context(), t.TempDir(), "-c", "a.b=c", "rev-parse", "HEAD")
	require.ErrorContains(t, err, "git rev-parse: fatal: ")
	t.Setenv("PATH", t.TempDir())
	_, err = Read(t.Context(), "", nil, "status")
	require.EqualError(t, err, "there is no git on PATH: install git")
}

func TestACommandThatHangsEndsWithItsContext(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\nexec sleep 60\n"), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Run(ctx, "", "fetch")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, strings.HasPrefix(err.Error(), "git fetch: "), err)
	assert.Less(t, time.Since(start), 20*time.Second)
}

func TestReadTakesThePersonsSettings(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[some]\n\tvalue = theirs\n"), 0o600))
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	out, err := Read(t.Context(), "", nil, "config", "some.value")
	require.NoError(t, err)
	assert.Equal(t, "theirs\n", string(out))
	out, err = Read(t.Context(), "", []byte("content"), "hash-object", "--stdin")
	require.NoError(t, err)
	assert.Equal(t, "6b584e8ece562ebffc15d38808cd6b98fc3d97ea\n", string(out))
}

func TestContentsAreThoseOfEveryBranchAndTagAndOfWhatWasDeleted(t *testing.T) {
	url, _ := forge(t)
	seed := t.TempDir()
	c, err := Clone(t.Context(), Remote{URL: url, Username: user, Password: password}, Author{"A Person", "person@example.com"}, seed)
	require.NoError(t, err)
	write := func(text, message string) {
		require.NoError(t, os.WriteFile(filepath.Join(c.Dir, "f"), []byte(text), 0o644))
		require.NoError(t, c.Commit(t.Context(), message))
	}
	write("once in main\n", "One")
	write("now in main\n", "Two")
	require.NoError(t, c.Push(t.Context()))
	for ref, text := range map[string]string{"refs/heads/branch": "in a branch\n", "refs/tags/layer/x": "under a tag\n"} {
		write(text, ref)
		_, err := c.Git(t.Context(), "push", "--quiet", "origin", "HEAD:"+ref)
		require.NoError(t, err)
		_, err = c.Git(t.Context(), "reset", "--quiet", "--hard", "HEAD~1")
		require.NoError(t, err)
	}
	calls := logged(t)
	dir := t.TempDir()
	var all strings.Builder
	require.NoError(t, Contents(t.Context(), Remote{URL: url, Username: user, Password: password}, dir, &all))
	for _, text := range []string{"once in main", "now in main", "in a branch", "under a tag", "hello"} {
		assert.Contains(t, all.String(), text)
	}
	assert.NotContains(t, calls(), "p%40ss", "the password is in the calls")
	assert.Error(t, Contents(t.Context(), Remote{URL: url, Username: user, Password: "wrong"}, t.TempDir(), &all))
}
