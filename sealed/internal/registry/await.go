package registry

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lookAgain is how often an image that is being built is looked for.
const lookAgain = 500 * time.Millisecond

// Await answers like h, except that the question for an image h does not have is
// held back for as long as building says that images are being built, and is
// then answered with what there is. To a container runtime that pull is slow; a
// 404 would make the kubelet wait for minutes after the image is there.
func Await(h http.Handler, building func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/manifests/") || r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.ServeHTTP(w, r)
			return
		}
		tick := time.NewTicker(lookAgain)
		defer tick.Stop()
		for {
			// Asked first: an image may be finished between the two.
			wait := building()
			a := &answer{header: http.Header{}, code: http.StatusOK}
			h.ServeHTTP(a, r)
			if a.code != http.StatusNotFound || !wait {
				a.send(w)
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Locked says whether a process holds the lock (flock) of a file; a file that
// cannot be opened is not locked.
func Locked(file string) func() bool {
	return func() bool {
		f, err := os.Open(file)
		if err != nil {
			return false
		}
		defer f.Close()
		return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
	}
}

// answer keeps a response; that to a question for a manifest is small.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) send(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes())
}
