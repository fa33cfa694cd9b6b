package github_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

func TestAnOAuthAppThatGitHubDoesNotKnowIsSaidBeforeAnybodySignsIn(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.OAuthApp("Ov23liABC", "right", "https://portal.example.org/api/auth/github/handler/frame")
	p := github.Preflight{URL: s.URL, Token: "right", From: "github:clientSecret"}
	require.NoError(t, p.KnownApp(t.Context(), "Ov23liABC"))
	for id, secret := range map[string]string{"Ov23liABC": "s3cret", "Ov23liXYZ": "right"} {
		p.Token = secret
		err := p.KnownApp(t.Context(), id)
		require.EqualError(t, err, "GitHub does not know OAuth App "+id+" by the secret in github:clientSecret (Bad credentials): one of both is wrong, make another secret on the App's page")
		assert.NotContains(t, err.Error(), "s3cret")
	}
	s.Fail("POST /applications", http.StatusBadGateway)
	require.ErrorContains(t, p.KnownApp(t.Context(), "Ov23liABC"), "GitHub answered 502 to POST /applications/Ov23liABC/token")
}
