// Package forgeproxy stands before Gitea: it speaks TLS, slows down who guesses
// passwords, keeps statuses for who checks commits, and says where people sign in that
// reach it at another address than programs do. Gitea has no settings for these.
package forgeproxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// maxForm is far more than a name and a password take, in bytes.
	maxForm = 64 << 10
	// patience is how long Gitea may take to say whether a password is right.
	patience = 30 * time.Second
)

// Proxy is the handler.
type Proxy struct {
	throttle *Throttle
	log      *slog.Logger
	forward  *httputil.ReverseProxy
	client   *http.Client
	// whoami is where Gitea says whose credential it was shown.
	whoami string
	// checker is the only account that sets statuses.
	checker string
	// metadata is where Gitea says how to sign in, public where browsers reach it.
	metadata string
	public   *url.URL
}

// New makes one before the Gitea at the URL upstream, where only the account checker
// sets statuses of commits. Browsers reach it at the URL public.
func New(upstream, public *url.URL, throttle *Throttle, checker string, log *slog.Logger) *Proxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.DisableCompression, transport.MaxIdleConnsPerHost = nil, true, 32
	p := &Proxy{
		throttle: throttle, log: log, checker: checker,
		client: &http.Client{Transport: transport, Timeout: patience},
		whoami: upstream.JoinPath("/api/v1/user").String(), metadata: upstream.JoinPath(metadataPath).String(), public: public,
	}
	p.forward = &httputil.ReverseProxy{
		Transport: transport, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		FlushInterval: -1, // what Git says on the way, and events, are read as they come
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("X-Real-Ip")
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				log.Warn("no answer from the forge", "path", r.URL.Path, "error", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return p
}

// ServeHTTP has Gitea judge every credential at one place before the request that
// shows it goes on. What a page answers says nothing: some do not look at the
// credential, and the form turns away who has a session already.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var shown []credential
	if c, there := basic(r); there {
		shown = append(shown, c)
	}
	if r.Method == http.MethodPost && signsIn(r.URL.Path) {
		c, status := formOf(w, r)
		if status != 0 {
			http.Error(w, "sign in by the form of the sign-in page", status)
			return
		}
		shown = append(shown, c)
	}
	for _, c := range shown {
		if !p.mayPass(w, r, c) {
			return
		}
	}
	if setsStatus(r) && !p.isChecker(r) {
		p.log.Warn("somebody else's status", "address", source(r.RemoteAddr).String(), "path", shortened(r.URL.Path))
		http.Error(w, `{"message":"statuses are set by the guard and nobody else"}`, http.StatusForbidden)
		return
	}
	if r.URL.Path == metadataPath {
		p.serveMetadata(w, r)
		return
	}
	p.forward.ServeHTTP(w, r)
}

// mayPass tries c unless too many were wrong. A wrong one passes: Gitea answers it.
func (p *Proxy) mayPass(w http.ResponseWriter, r *http.Request, c credential) bool {
	from := source(r.RemoteAddr)
	wait, known := p.throttle.begin(from, c)
	switch {
	case wait > 0:
		p.refuse(w, from, c, wait)
		return false
	case known:
		return true
	}
	v := p.judge(r, c)
	p.throttle.finish(from, c, v)
	if v == untold {
		http.Error(w, "the forge does not answer", http.StatusServiceUnavailable)
		return false
	}
	return true
}

func (p *Proxy) refuse(w http.ResponseWriter, from netip.Addr, c credential, wait time.Duration) {
	p.log.Warn("too many wrong passwords", "address", from.String(), "account", shortened(normal(c.account)))
	seconds := int(math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", fmt.Sprint(seconds))
	http.Error(w, fmt.Sprintf("too many wrong passwords for this account from your address: try again in %d seconds", seconds), http.StatusTooManyRequests)
}

// judge asks Gitea whether c is right. A token that may not ask who it belongs to is.
func (p *Proxy) judge(r *http.Request, c credential) verdict {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.whoami, nil)
	if err != nil {
		return untold
	}
	request.SetBasicAuth(c.account, c.password)
	if code := r.Header.Get("X-Gitea-Otp"); code != "" {
		request.Header.Set("X-Gitea-Otp", code)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return untold
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxForm)) // so that the connection is used again
	switch answer.StatusCode {
	case http.StatusOK, http.StatusForbidden:
		return right
	case http.StatusUnauthorized:
		return wrong
	}
	return untold
}

// basic is what Gitea reads out of the first Authorization header.
func basic(r *http.Request) (credential, bool) {
	parts := strings.Fields(r.Header.Get("Authorization"))
	if len(parts) != 2 || !strings.EqualFold(parts[0], "basic") || isTokenExchange(r) {
		return credential{}, false
	}
	text, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		return credential{}, false
	}
	account, password, ok := strings.Cut(string(text), ":")
	return credential{account, password}, ok && (account != "" || password != "")
}

// isTokenExchange is the one request whose Basic credential is a program's, and no
// account's: Gitea looks at no account there.
func isTokenExchange(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.EscapedPath() == "/login/oauth/access_token"
}

// forms take a name and a password.
var forms = []string{"/user/login", "/user/link_account_signin"}

// signsIn is whether a path, however written, may be one of forms.
func signsIn(at string) bool {
	return slices.Contains(forms, strings.ToLower(path.Clean("/"+at)))
}

// formOf reads the credential from the body, and leaves the request as it was. A
// status is one to answer with instead. Gitea takes other kinds of body, too; no page
// sends them.
func formOf(w http.ResponseWriter, r *http.Request) (credential, int) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return credential{}, http.StatusUnsupportedMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return credential{}, http.StatusRequestEntityTooLarge
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.TransferEncoding = nil
	// A name that is in the body and in the URL is the body's, as for Gitea.
	form := &http.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
	if err := form.ParseForm(); err != nil {
		return credential{}, http.StatusBadRequest
	}
	return credential{form.Form.Get("user_name"), form.Form.Get("password")}, 0
}

// shortened keeps the log readable, whatever somebody writes for a name.
func shortened(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "..."
}
