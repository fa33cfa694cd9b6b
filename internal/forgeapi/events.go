package forgeapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
)

// MaxEvent bounds what the forge sends of an event, in bytes.
const MaxEvent = 4 << 20

// Kinds of an Event that somebody waits for. Both kinds of forges call them so.
const (
	Push        = "push"
	PullRequest = "pull_request"
	StatusSet   = "status"
)

// Event is what of one matters: where something has happened. What, is looked up, so
// that an old one sent again does nothing.
type Event struct {
	Kind       string
	Repository string
	// Number of a pull request, Reference that was pushed.
	Number    int64
	Reference string
	// Own is whether the account has done it.
	Own bool
}

// Pushed is that Branch of a repository has changed.
func Pushed(repository string) Event {
	return Event{Kind: Push, Repository: repository, Reference: "refs/heads/" + Branch}
}

// OfBranch is whether Branch was pushed.
func (e Event) OfBranch() bool { return e.Kind == Push && e.Reference == "refs/heads/"+Branch }

// ErrUnsigned is that an event is not the forge's.
var ErrUnsigned = errors.New("the event is not signed by the forge")

// Events takes the forge's, signed with a secret, and hands them to heard.
func Events(log *slog.Logger, forge Forge, secret func() (string, error), heard func(Event)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, MaxEvent))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			http.Error(w, fmt.Sprintf("an event has at most %d bytes", MaxEvent), http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "the event cannot be read", http.StatusBadRequest)
			return
		}
		key, err := secret()
		if err != nil || key == "" {
			log.Error("there is no secret to tell the forge's events by", "error", err)
			http.Error(w, "events cannot be told from others'", http.StatusServiceUnavailable)
			return
		}
		e, err := forge.Event(key, q.Header, body)
		switch {
		case errors.Is(err, ErrUnsigned):
			log.Warn("an event is not signed by the forge", "from", q.RemoteAddr)
			http.Error(w, err.Error(), http.StatusUnauthorized)
		case err != nil:
			http.Error(w, "the event is not JSON", http.StatusBadRequest)
		default:
			heard(*e)
			w.WriteHeader(http.StatusAccepted)
		}
	}
}

// Alive answers /healthz and /readyz.
func Alive(mux *http.ServeMux) {
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
}
