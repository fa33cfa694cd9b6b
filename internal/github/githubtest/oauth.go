package githubtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// oauthApp is what people sign in somewhere else with.
type oauthApp struct {
	id, secret, callback string
	browser              string // who is signed in to GitHub in the browser that comes
	permissions          map[string]Permissions
	codes                map[string]grant
}

// grant is what a code was given for.
type grant struct{ login, scopes, callback string }

// OAuthApp makes an OAuth App known.
func (s *Server) OAuthApp(id, secret, callback string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = oauthApp{id: id, secret: secret, callback: callback, permissions: map[string]Permissions{}, codes: map[string]grant{}}
}

// SignedIn has the browser that comes next be somebody's, who may do this in the
// repositories and gives the App the leave it asks for; empty if they do not.
func (s *Server) SignedIn(login string, p Permissions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app.browser, s.app.permissions[login] = login, p
}

// seesPrivate is whether a token sees private repositories, as all of these are.
func (t token) seesPrivate() bool {
	return t.scopes == "" || slices.Contains(strings.Split(t.scopes, ","), "repo")
}

// signIn answers what the App and the browsers of its people ask.
func (a *answer) signIn() bool {
	app := &a.s.app
	switch a.q.Method + " " + a.q.URL.Path {
	case "GET /login/oauth/authorize":
		a.authorize(app)
	case "POST /login/oauth/access_token":
		a.exchange(app)
	case "POST /applications/" + app.id + "/token":
		id, secret, _ := a.q.BasicAuth()
		if id != app.id || secret != app.secret {
			a.refuse(http.StatusUnauthorized, "Bad credentials")
		} else {
			a.refuse(http.StatusNotFound, "Not Found")
		}
	default:
		// An App that is not known has no credentials.
		if strings.HasPrefix(a.q.URL.Path, "/applications/") {
			a.refuse(http.StatusUnauthorized, "Bad credentials")
			return true
		}
		return false
	}
	return true
}

func (a *answer) authorize(app *oauthApp) {
	asked := a.q.URL.Query()
	back, err := url.Parse(asked.Get("redirect_uri"))
	if err != nil || asked.Get("client_id") != app.id {
		a.done(http.StatusNotFound)
		a.w.WriteHeader(http.StatusNotFound)
		return
	}
	answered := url.Values{"state": {asked.Get("state")}}
	switch {
	case back.String() != app.callback:
		back, _ = url.Parse(app.callback)
		answered.Set("error", "redirect_uri_mismatch")
		answered.Set("error_description", "The redirect_uri MUST match the registered callback URL for this application.")
	case app.browser == "":
		answered.Set("error", "access_denied")
		answered.Set("error_description", "The user has denied your application access.")
	default:
		a.s.next++
		code := fmt.Sprintf("code%d", a.s.next)
		scopes := strings.Join(strings.FieldsFunc(asked.Get("scope"), func(r rune) bool { return r == ' ' || r == ',' }), ",")
		app.codes[code] = grant{app.browser, scopes, app.callback}
		answered.Set("code", code)
	}
	back.RawQuery = answered.Encode()
	a.done(http.StatusFound)
	http.Redirect(a.w, a.q, back.String(), http.StatusFound)
}

// exchange gives a token for a code, once. GitHub says with 200 why it does not.
func (a *answer) exchange(app *oauthApp) {
	_ = a.q.ParseForm()
	answered := url.Values{}
	code := a.q.PostForm.Get("code")
	g, known := app.codes[code]
	switch {
	case a.q.PostForm.Get("client_id") != app.id || a.q.PostForm.Get("client_secret") != app.secret:
		answered.Set("error", "incorrect_client_credentials")
		answered.Set("error_description", "The client_id and/or client_secret passed are incorrect.")
	case !known || a.q.PostForm.Get("redirect_uri") != g.callback:
		answered.Set("error", "bad_verification_code")
		answered.Set("error_description", "The code passed is incorrect or expired.")
	default:
		delete(app.codes, code)
		a.s.next++
		secret := fmt.Sprintf("gho_%d", a.s.next)
		a.s.tokens[secret] = token{login: g.login, permissions: app.permissions[g.login], scopes: g.scopes, blind: map[string]bool{}}
		answered = url.Values{"access_token": {secret}, "scope": {g.scopes}, "token_type": {"bearer"}}
	}
	a.w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a.done(http.StatusOK)
	_, _ = a.w.Write([]byte(answered.Encode()))
}
