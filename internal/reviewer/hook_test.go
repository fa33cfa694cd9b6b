package reviewer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

const hookSecret = "s3cret"

func sign(body string) string {
	h := hmac.New(sha256.New, []byte(hookSecret))
	h.Write([]byte(body))
	return hex.EncodeToString(h.Sum(nil))
}

func TestOnlyTheForgesEventsAreHeard(t *testing.T) {
	const pull = `{"number":7,"repository":{"name":"endpoints","owner":{"username":"acme"}}}`
	const push = `{"ref":"refs/heads/main","repository":{"name":"endpoints","owner":{"username":"acme"}}}`
	const status = `{"sender":{"username":"merger"},"repository":{"name":"endpoints","owner":{"username":"acme"}}}`
	elsewhere := strings.ReplaceAll(pull, "acme", "evil")
	for name, test := range map[string]struct {
		kind, body, signature string
		code                  int
		want                  []subject
	}{
		"a pull request":            {"pull_request", pull, sign(pull), 202, []subject{{"endpoints", 7}}},
		"a push to main":            {"push", push, sign(push), 202, []subject{{"endpoints", 0}}},
		"another's status":          {"status", status, sign(status), 202, []subject{{"endpoints", 0}}},
		"its own status":            {"status", strings.ReplaceAll(status, "merger", "guard"), sign(strings.ReplaceAll(status, "merger", "guard")), 202, nil},
		"a push elsewhere":          {"push", strings.ReplaceAll(push, "main", "übung/../main"), sign(strings.ReplaceAll(push, "main", "übung/../main")), 202, nil},
		"no signature":              {"pull_request", pull, "", 401, nil},
		"another's signature":       {"pull_request", pull, sign(push), 401, nil},
		"no hexadecimal":            {"pull_request", pull, "zz", 401, nil},
		"a body that was changed":   {"pull_request", strings.ReplaceAll(pull, "7", "8"), sign(pull), 401, nil},
		"another organization":      {"pull_request", elsewhere, sign(elsewhere), 202, nil},
		"another repository":        {"pull_request", strings.ReplaceAll(pull, "endpoints", "platform"), sign(strings.ReplaceAll(pull, "endpoints", "platform")), 202, nil},
		"no JSON":                   {"pull_request", "x", sign("x"), 400, nil},
		"more than an event has":    {"pull_request", strings.Repeat(" ", forgeapi.MaxEvent+1), "", 413, nil},
		"an event nobody waits for": {"issues", pull, sign(pull), 202, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, forge := newForge(t)
			r := reviewer(t, forge, &passes{})
			header := http.Header{"X-Gitea-Event": {test.kind}, "X-Gitea-Signature": {test.signature}}
			for range 2 { // a replay asks for the same again: once is enough
				assert.Equal(t, test.code, send(r, header, test.body))
			}
			assert.Equal(t, test.want, queued(r))
		})
	}
}

// send sends an event, as a forge does.
func send(r *Reviewer, header http.Header, body string) (code int) {
	q := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	q.Header = header
	w := httptest.NewRecorder()
	r.Handler(func() (string, error) { return hookSecret, nil }).ServeHTTP(w, q)
	return w.Code
}

// queued takes what is to be looked at.
func queued(r *Reviewer) (all []subject) {
	for r.queue.Len() > 0 {
		s, _ := r.queue.Get()
		all = append(all, s)
	}
	return all
}

func TestWithoutASecretNobodyIsHeard(t *testing.T) {
	_, forge := newForge(t)
	r := reviewer(t, forge, &passes{})
	for _, secret := range []func() (string, error){
		func() (string, error) { return "", nil }, func() (string, error) { return "", errors.New("gone") },
	} {
		h := hmac.New(sha256.New, nil)
		q := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(""))
		q.Header.Set("X-Gitea-Signature", hex.EncodeToString(h.Sum(nil)))
		w := httptest.NewRecorder()
		r.Handler(secret).ServeHTTP(w, q)
		assert.Equal(t, 503, w.Code)
	}
}
