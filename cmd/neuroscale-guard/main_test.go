package main

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

func TestTheForgeIsOfTheKindThatIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		s    settings
		want any
		err  string
	}{
		"Gitea":                 {settings{provider: "gitea", forge: "https://gitea:3000", organization: "acme"}, &gitea.Forge{}, ""},
		"GitHub":                {settings{provider: "github", organization: "acme"}, &github.Forge{}, ""},
		"no organization":       {settings{provider: "github"}, nil, "serve and follow need -organization"},
		"a Gitea without a URL": {settings{provider: "gitea", organization: "acme"}, nil, "serve and follow need -forge"},
		"another kind":          {settings{provider: "gitlab", organization: "acme"}, nil, `-provider "gitlab" is neither gitea nor github`},
	} {
		t.Run(name, func(t *testing.T) {
			forge, err := test.s.newForge(slog.New(slog.DiscardHandler), "guard")
			if test.err != "" {
				require.EqualError(t, err, test.err)
				return
			}
			require.NoError(t, err)
			assert.IsType(t, test.want, forge)
		})
	}
}

func TestGitHubIsAskedWithTheTokenInTheSecretAsItIsThen(t *testing.T) {
	server := githubtest.New(t, "acme")
	server.Grant("old", "guard", nil)
	server.Repository("endpoints", nil)
	s := settings{provider: "github", forge: server.URL, organization: "acme", secrets: t.TempDir()}
	write := func(token string) {
		require.NoError(t, os.WriteFile(filepath.Join(s.secrets, "password"), []byte(token+"\n"), 0o600))
	}
	forge, err := s.newForge(slog.New(slog.DiscardHandler), "guard")
	require.NoError(t, err)
	_, err = forge.Head(t.Context(), "endpoints")
	require.ErrorContains(t, err, "read the secret password")
	write("old")
	_, err = forge.Head(t.Context(), "endpoints")
	require.NoError(t, err)
	server.Revoke("old")
	server.Grant("new", "guard", nil)
	_, err = forge.Head(t.Context(), "endpoints")
	require.ErrorContains(t, err, "GitHub does not know the token")
	write("new")
	_, err = forge.Head(t.Context(), "endpoints")
	require.NoError(t, err)
}

// The image has nothing but this program.
func TestCertificatesThatAreKnownToEverybodyAreInTheProgram(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	pool, err := x509.SystemCertPool()
	require.NoError(t, err)
	assert.False(t, pool.Equal(x509.NewCertPool()), "GitHub's certificate is believed by nobody")
}
