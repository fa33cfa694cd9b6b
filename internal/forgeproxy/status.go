package forgeproxy

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// setsStatus is whether a request may set the status of a commit, however its path is
// written: POST /api/v1/repos/OWNER/NAME/statuses/COMMIT. Whoever may merge could.
func setsStatus(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false
	}
	parts := strings.FieldsFunc(strings.ToLower(r.URL.Path), func(c rune) bool { return c == '/' })
	const owner, least = 3, 6
	return len(parts) >= least && parts[0] == "api" && slices.Contains(parts[owner+2:], "statuses")
}

// identities are where Gitea looks for who asks, beside the URL.
var identities = []string{"Authorization", "Cookie", "Sudo", "X-Gitea-Otp"}

// isChecker asks Gitea whose request it is. What may not ask that is nobody's.
func (p *Proxy) isChecker(r *http.Request) bool {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.whoami+"?"+r.URL.RawQuery, nil)
	if err != nil {
		return false
	}
	for _, name := range identities {
		if values := r.Header.Values(name); len(values) > 0 {
			request.Header[name] = values
		}
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var user struct{ Login string }
	err = json.NewDecoder(io.LimitReader(answer.Body, maxForm)).Decode(&user)
	return err == nil && answer.StatusCode == http.StatusOK && user.Login == p.checker
}
