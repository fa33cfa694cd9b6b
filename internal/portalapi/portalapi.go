// Package portalapi is the portal as its pages use it: for somebody who has signed in
// with an account of the forge.
package portalapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// AskTemplate is the form that asks for an endpoint.
const AskTemplate = "kserve-model-endpoint"

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 8 << 20
	// often is how often a form's task is looked at.
	often = 50 * time.Millisecond
)

// Browser is that of somebody who has signed in to the forge.
type Browser struct {
	Client *http.Client
	// Forge is its URL.
	Forge string
}

// Session is somebody at the portal. One without a Token has not signed in.
type Session struct {
	*Browser
	// Portal is its URL.
	Portal string
	// Token is the portal's for this person, ForgeToken the forge's.
	Token, ForgeToken string
	// Groups are what the person belongs to, as references to the portal's catalog.
	Groups []string
}

// RefusedError is that a form was not taken, or did not come to its end.
type RefusedError struct {
	// Status of the answer; 0 if the form was taken.
	Status int
	// Text is why.
	Text string
}

func (e *RefusedError) Error() string {
	if e.Status == 0 {
		return "the portal opened no pull request: " + e.Text
	}
	return fmt.Sprintf("the portal answered %d %s to the form: %s", e.Status, http.StatusText(e.Status), e.Text)
}

var (
	hiddenFields = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	// signedIn is what the portal tells the page that opened the sign-in.
	signedIn = regexp.MustCompile(`decodeURIComponent\('([^']+)'\)`)
)

// SignInToForge signs somebody in by the forge's pages. It trusts the servers that
// authority, in PEM form, has signed the certificates of.
func SignInToForge(ctx context.Context, forge, authority, account, password string) (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &Browser{Forge: forge, Client: predict.NewClient(time.Minute, authority)}
	b.Client.Jar = jar
	if _, err := b.Page(ctx, http.MethodGet, forge+"/user/login", nil); err != nil {
		return nil, err
	}
	_, err = b.Page(ctx, http.MethodPost, forge+"/user/login", url.Values{"user_name": {account}, "password": {password}})
	return b, err
}

// Grant gives leave where a page asks for it, as the forge's does the first time, and
// returns the page after it.
func (b *Browser) Grant(ctx context.Context, page string) (string, error) {
	if !strings.Contains(page, `action="/login/oauth/grant"`) {
		return page, nil
	}
	form := url.Values{"granted": {"true"}}
	for _, field := range hiddenFields.FindAllStringSubmatch(page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return b.Page(ctx, http.MethodPost, b.Forge+"/login/oauth/grant", form)
}

// SignIn signs somebody in to the portal by the forge's pages, as a browser does. It
// trusts the servers that authority, in PEM form, has signed the certificates of.
func SignIn(ctx context.Context, portal, forge, authority, account, password string) (*Session, error) {
	wrong := func(err error) error { return fmt.Errorf("sign in to the portal as %s: %w", account, err) }
	browser, err := SignInToForge(ctx, forge, authority, account, password)
	if err != nil {
		return nil, wrong(err)
	}
	s, err := browser.SignIn(ctx, portal, "gitea")
	if err != nil {
		return nil, wrong(err)
	}
	return s, nil
}

// SignIn signs in to the portal by the pages of a forge of a kind, as whoever has signed
// in to that.
func (b *Browser) SignIn(ctx context.Context, portal, provider string) (*Session, error) {
	s := &Session{Portal: portal, Browser: b}
	page, err := s.Page(ctx, http.MethodGet, portal+"/api/auth/"+provider+"/start?env=production&origin="+url.QueryEscape(portal), nil)
	if err == nil {
		page, err = s.Grant(ctx, page)
	}
	if err != nil {
		return nil, err
	}
	found := signedIn.FindStringSubmatch(page)
	if found == nil {
		return nil, errors.New("the forge's pages do not lead back to it: is that account's password right, and is it a member of a tenant?")
	}
	return s, s.read(found[1])
}

// read takes the tokens out of what the portal says at the end of a sign-in.
func (s *Session) read(escaped string) error {
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return err
	}
	var message struct {
		Error    *struct{ Message string } `json:"error"`
		Response struct {
			ProviderInfo struct {
				AccessToken string `json:"accessToken"`
			} `json:"providerInfo"`
			BackstageIdentity struct {
				Token    string `json:"token"`
				Identity struct {
					OwnershipEntityRefs []string `json:"ownershipEntityRefs"`
				} `json:"identity"`
			} `json:"backstageIdentity"`
		} `json:"response"`
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		return fmt.Errorf("the portal's last page: %w", err)
	}
	if message.Error != nil {
		return errors.New(message.Error.Message)
	}
	s.ForgeToken = message.Response.ProviderInfo.AccessToken
	s.Token, s.Groups = message.Response.BackstageIdentity.Token, message.Response.BackstageIdentity.Identity.OwnershipEntityRefs
	if s.Token == "" {
		return errors.New("the portal gave no token")
	}
	return nil
}

// Page is one for people, with a form if there is one.
func (b *Browser) Page(ctx context.Context, method, at string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	_, text, err := b.do(request)
	return string(text), err
}

// Ask calls the portal's API at a path, with a JSON body unless that is nil, and
// returns the answer's status and text.
func (s *Session) Ask(ctx context.Context, method, at string, body []byte) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.Portal+at, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.Token)
	request.Header.Set("Content-Type", "application/json")
	return s.do(request)
}

func (b *Browser) do(request *http.Request) (status int, text []byte, err error) {
	response, err := b.Client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", request.URL.Host, err)
	}
	return response.StatusCode, text, nil
}

// Submit fills in a form, waits until its task has ended and returns the URL of the
// pull request that it opened. A *RefusedError says why there is none.
func (s *Session) Submit(ctx context.Context, template string, values map[string]any) (string, error) {
	body, err := json.Marshal(map[string]any{
		"templateRef": "template:default/" + template, "values": values, "secrets": map[string]string{"FORGE_TOKEN": s.ForgeToken},
	})
	if err != nil {
		return "", err
	}
	status, text, err := s.Ask(ctx, http.MethodPost, "/api/scaffolder/v2/tasks", body)
	if err != nil {
		return "", err
	}
	if status != http.StatusCreated {
		return "", &RefusedError{Status: status, Text: strings.Join(strings.Fields(string(text)), " ")}
	}
	var task struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(text, &task); err != nil || task.ID == "" {
		return "", errors.New("the portal took the form and names no task")
	}
	if err := s.await(ctx, task.ID); err != nil {
		return "", err
	}
	return s.outcome(ctx, task.ID)
}

// await waits until a task has ended, either way.
func (s *Session) await(ctx context.Context, task string) error {
	return predict.Poll(ctx, often, func(ctx context.Context) error {
		var state struct {
			Status string `json:"status"`
		}
		if err := s.get(ctx, "/api/scaffolder/v2/tasks/"+task, &state); err != nil {
			return err
		}
		switch state.Status {
		case "completed", "failed", "cancelled":
			return nil
		}
		return fmt.Errorf("the form's task is %s", state.Status)
	})
}

// outcome is what the last event of a task says.
func (s *Session) outcome(ctx context.Context, task string) (string, error) {
	var events []struct {
		Type string `json:"type"`
		Body struct {
			Error  *struct{ Message string }
			Output struct{ Links []struct{ URL string } }
		} `json:"body"`
	}
	if err := s.get(ctx, "/api/scaffolder/v2/tasks/"+task+"/events", &events); err != nil {
		return "", err
	}
	for _, event := range events {
		switch {
		case event.Type != "completion":
		case event.Body.Error != nil && event.Body.Error.Message != "":
			return "", &RefusedError{Text: event.Body.Error.Message}
		case len(event.Body.Output.Links) > 0:
			return event.Body.Output.Links[0].URL, nil
		}
	}
	return "", &RefusedError{Text: "its task does not say why"}
}

// get decodes what the portal's API has at a path.
func (s *Session) get(ctx context.Context, at string, out any) error {
	status, text, err := s.Ask(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("the portal answered %d %s to GET %s", status, http.StatusText(status), at)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the portal's answer to GET %s: %w", at, err)
	}
	return nil
}
