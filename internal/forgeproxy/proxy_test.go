package forgeproxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	account  = "anna"
	password = "right"
	failures = 10
	window   = time.Minute
)

// gitea answers as the real one does where it matters here.
type gitea struct {
	mu sync.Mutex
	// tried are the passwords that any door was shown, asked the questions whose
	// credential it is.
	tried, asked int
	down         atomic.Bool
	seen         *http.Request
	tokens       map[string]string // and whose they are
	metadata     string            // how to sign in; empty is an error
}

func (g *gitea) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.down.Load() {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	name, shown, hasBasic := r.BasicAuth()
	g.mu.Lock()
	g.seen = r
	if r.URL.Path == "/api/v1/user" {
		g.asked++
	}
	g.mu.Unlock()
	try := func(name, shown string) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.tried++
		return strings.EqualFold(name, account) && shown == password
	}
	switch {
	case r.URL.Path == metadataPath:
		if g.metadata == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, g.metadata)
	case r.URL.Path == "/api/v1/user" && g.whoami(w, r):
	case strings.HasPrefix(r.URL.Path, "/api/v1/"), strings.HasPrefix(r.URL.Path, "/neuroscale/"):
		if !hasBasic || !try(name, shown) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Gitea"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
	case strings.EqualFold(r.URL.Path, "/user/login") && r.Method == http.MethodPost:
		if _, err := r.Cookie("session"); err == nil {
			w.WriteHeader(http.StatusSeeOther) // signed in already, whatever was shown
			return
		}
		if try(r.FormValue("user_name"), r.FormValue("password")) {
			w.WriteHeader(http.StatusSeeOther)
		}
	}
}

// front is a proxy before a gitea, with a clock.
type front struct {
	*httptest.Server
	gitea    *gitea
	throttle *Throttle
	now      atomic.Int64 // seconds since it began
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{gitea: &gitea{}, throttle: NewThrottle(failures, window)}
	began := time.Now()
	f.throttle.now = func() time.Time { return began.Add(time.Duration(f.now.Load()) * time.Second) }
	behind := httptest.NewServer(f.gitea)
	t.Cleanup(behind.Close)
	at, err := url.Parse(behind.URL)
	require.NoError(t, err)
	f.Server = httptest.NewServer(New(at, browsers, f.throttle, "guard", slog.New(slog.DiscardHandler)))
	t.Cleanup(f.Close)
	f.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return f
}

// door is a place where passwords are tried.
type door func(t *testing.T, f *front, name, shown string) *http.Response

func (f *front) send(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	answer, err := f.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func withBasic(at string) door {
	return func(t *testing.T, f *front, name, shown string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+at, nil)
		require.NoError(t, err)
		r.SetBasicAuth(name, shown)
		return f.send(t, r)
	}
}

func withForm(at, kind string, cookies ...*http.Cookie) door {
	return func(t *testing.T, f *front, name, shown string) *http.Response {
		body := url.Values{"user_name": {name}, "password": {shown}}.Encode()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+at, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", kind)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		return f.send(t, r)
	}
}

const urlencoded = "application/x-www-form-urlencoded"

var doors = map[string]struct {
	try         door
	open, wrong int
}{
	"form": {withForm("/user/login", urlencoded), http.StatusSeeOther, http.StatusOK},
	"API":  {withBasic("/api/v1/repos"), http.StatusOK, http.StatusUnauthorized},
	"git":  {withBasic("/neuroscale/endpoints.git/info/refs?service=git-receive-pack"), http.StatusOK, http.StatusUnauthorized},
}

func TestWhoGuessesPasswordsIsSlowedDownAtEveryDoor(t *testing.T) {
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			codes := map[int]int{}
			for i := range 100 {
				answer := d.try(t, f, account, fmt.Sprint("wrong", i))
				codes[answer.StatusCode]++
				if answer.StatusCode == http.StatusTooManyRequests {
					assert.Equal(t, "60", answer.Header.Get("Retry-After"))
				}
			}
			assert.Equal(t, map[int]int{d.wrong: failures, http.StatusTooManyRequests: 90}, codes)
			assert.Equal(t, http.StatusTooManyRequests, d.try(t, f, account, password).StatusCode,
				"that it opens would tell a guess is right")
			for other, d := range doors {
				assert.Equal(t, http.StatusTooManyRequests, d.try(t, f, account, "wrong").StatusCode, "the %s is another way", other)
			}
			assert.Equal(t, d.wrong, d.try(t, f, "bob", "wrong").StatusCode, "somebody else is slowed down")
			f.now.Add(int64(window / time.Second))
			assert.Equal(t, d.open, d.try(t, f, account, password).StatusCode, "it is over")
		})
	}
}

func TestNoOtherSpellingIsAWayRound(t *testing.T) {
	for name, try := range map[string]door{
		"a path with //":           withForm("//user///login", urlencoded),
		"a path with /./":          withForm("/user/./login", urlencoded),
		"a path with ..":           withForm("/explore/../user/login", urlencoded),
		"a path with / at its end": withForm("/user/login/", urlencoded),
		"a path in capitals":       withForm("/User/Login", urlencoded),
		"an escaped path":          withForm("/user/%6cogin", urlencoded),
		"an account in capitals": func(t *testing.T, f *front, name, shown string) *http.Response {
			return withBasic("/api/v1/user")(t, f, strings.ToUpper(name), shown)
		},
		"a space before the account": func(t *testing.T, f *front, name, shown string) *http.Response {
			return withBasic("/api/v1/user")(t, f, " "+name, shown)
		},
		"a name in the URL":               func(t *testing.T, f *front, name, shown string) *http.Response { return inURL(t, f, name, shown) },
		"a header in capitals":            header("BASIC "),
		"a header with a tab":             header("Basic\t "),
		"a page that looks at nobody":     withBasic("/"),
		"the exchange of tokens, escaped": withBasic("/login/oauth/%61ccess_token"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			for i := range failures {
				assert.NotEqual(t, http.StatusTooManyRequests, try(t, f, account, fmt.Sprint("wrong", i)).StatusCode)
			}
			assert.Equal(t, http.StatusTooManyRequests, try(t, f, account, "wrong").StatusCode)
			assert.Equal(t, http.StatusTooManyRequests, withBasic("/api/v1/user")(t, f, account, password).StatusCode, "it was counted apart")
		})
	}
}

func inURL(t *testing.T, f *front, name, shown string) *http.Response {
	at := f.URL + "/user/login?" + url.Values{"user_name": {name}, "password": {shown}}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, nil)
	require.NoError(t, err)
	r.Header.Set("Content-Type", urlencoded)
	return f.send(t, r)
}

func header(scheme string) door {
	return func(t *testing.T, f *front, name, shown string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/api/v1/user", nil)
		require.NoError(t, err)
		r.SetBasicAuth(name, shown)
		r.Header.Set("Authorization", scheme+strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
		return f.send(t, r)
	}
}

// Gitea reads bodies of other kinds as well.
func TestAFormOfAnotherKindIsNotTaken(t *testing.T) {
	f := newFront(t)
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", ""} {
		assert.Equal(t, http.StatusUnsupportedMediaType, withForm("/user/login", kind)(t, f, account, password).StatusCode, kind)
	}
	long := withForm("/user/login", urlencoded)(t, f, account, strings.Repeat("x", maxForm))
	assert.Equal(t, http.StatusRequestEntityTooLarge, long.StatusCode)
	assert.Zero(t, f.gitea.tried, "a password was tried that nobody counts")
}

// The form sends away who has a session, without a look at the password.
func TestASessionIsNoWayToTryPasswordsUncounted(t *testing.T) {
	f := newFront(t)
	try := withForm("/user/login", urlencoded, &http.Cookie{Name: "session", Value: "bob's"})
	for i := range 2 * failures {
		try(t, f, account, fmt.Sprint("wrong", i))
	}
	assert.Equal(t, http.StatusTooManyRequests, try(t, f, account, password).StatusCode)
	assert.Equal(t, failures, f.gitea.tried)
}

func TestPasswordsAreNotTriedSideBySide(t *testing.T) {
	f := newFront(t)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { doors["API"].try(t, f, account, fmt.Sprint("wrong", i)) })
	}
	all.Wait()
	assert.LessOrEqual(t, f.gitea.asked, failures)
}

func TestARightPasswordIsAskedAboutOnceAndMayComeAsOftenAsItLikes(t *testing.T) {
	f := newFront(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			assert.Equal(t, http.StatusOK, doors["git"].try(t, f, account, password).StatusCode)
		})
	}
	all.Wait()
	before := f.gitea.asked
	for range 50 {
		assert.Equal(t, http.StatusOK, doors["git"].try(t, f, account, password).StatusCode)
	}
	assert.Equal(t, before, f.gitea.asked)
}

func TestNobodyGetsInWhileGiteaDoesNotSayWhoIsRight(t *testing.T) {
	f := newFront(t)
	f.gitea.down.Store(true)
	for range 2 * failures {
		assert.Equal(t, http.StatusServiceUnavailable, doors["API"].try(t, f, account, password).StatusCode)
	}
	f.gitea.down.Store(false)
	assert.Equal(t, http.StatusOK, doors["API"].try(t, f, account, password).StatusCode, "an outage is counted as wrong passwords")
}

func TestAHundredThousandNamesTakeNoMemory(t *testing.T) {
	throttle := NewThrottle(failures, window)
	from := source("192.0.2.1:1")
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 100_000 {
		c := credential{fmt.Sprint("account-", i, strings.Repeat("x", 100)), "wrong"}
		if wait, _ := throttle.begin(from, c); wait == 0 {
			throttle.finish(from, c, wrong)
		}
	}
	assert.Less(t, heap()-before, int64(8<<20))
	runtime.KeepAlive(throttle)
}

func TestAddressesAreCountedByHost(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:443":              "192.0.2.7",
		"[::ffff:192.0.2.7]:443":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::",
		"[2001:db8:1:2:ffff::1]:8":   "2001:db8:1:2::",
		"[fe80::1%eth0]:443":         "fe80::",
		"not an address":             "invalid IP",
	} {
		assert.Equal(t, want, source(remote).String(), remote)
	}
}

func TestAPushOf20MiBComesThroughUnharmed(t *testing.T) {
	f := newFront(t)
	pack := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/neuroscale/endpoints.git/git-receive-pack", io.MultiReader(bytes.NewReader(pack)))
	require.NoError(t, err)
	r.SetBasicAuth(account, password)
	answer := f.send(t, r)
	said, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%d %x", len(pack), sha256.Sum256(pack)), string(said))
	assert.Equal(t, []string{"chunked"}, f.gitea.seen.TransferEncoding, "it was held in memory")
}

func TestGiteaIsToldWhoAsksAndHow(t *testing.T) {
	f := newFront(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/a%2fb", nil)
	require.NoError(t, err)
	r.Host = "forge.example:30082"
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Real-Ip", "203.0.113.9")
	r.Header.Set("X-Forwarded-Proto", "gopher")
	f.send(t, r)
	seen := f.gitea.seen
	assert.Equal(t, "forge.example:30082", seen.Host)
	assert.Equal(t, "127.0.0.1", seen.Header.Get("X-Forwarded-For"))
	assert.Equal(t, "http", seen.Header.Get("X-Forwarded-Proto"))
	assert.Empty(t, seen.Header.Get("X-Real-Ip"))
	assert.Equal(t, "/a%2fb", seen.URL.EscapedPath())
}

func TestAnEventIsReadAsItComes(t *testing.T) {
	goOn := make(chan struct{})
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-goOn
	}))
	defer behind.Close()
	defer close(goOn)
	at, err := url.Parse(behind.URL)
	require.NoError(t, err)
	front := httptest.NewServer(New(at, browsers, NewThrottle(failures, window), "guard", slog.New(slog.DiscardHandler)))
	defer front.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL, nil)
	require.NoError(t, err)
	answer, err := front.Client().Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	first := make([]byte, 6)
	_, err = io.ReadFull(answer.Body, first)
	require.NoError(t, err)
	assert.Equal(t, "first\n", string(first))
}
