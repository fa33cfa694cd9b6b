package reviewer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"code.gitea.io/sdk/gitea"
)

// maxEvent bounds what the forge sends of an event, in bytes.
const maxEvent = 4 << 20

// event is what of one matters: where something has happened. What, is looked up, so
// that an old one sent again does nothing.
type event struct {
	Number    int64  `json:"number"`
	Reference string `json:"ref"`
	Sender    struct {
		UserName string `json:"username"`
	} `json:"sender"`
	Repository struct {
		Name  string `json:"name"`
		Owner struct {
			UserName string `json:"username"`
		} `json:"owner"`
	} `json:"repository"`
}

// Handler takes the forge's events at /hook, signed with a secret, says at /passed
// whether something may be merged, and at /healthz and /readyz that it does.
func (r *Reviewer) Handler(secret func() (string, error)) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
	mux.HandleFunc("GET /passed", r.servePassed)
	mux.HandleFunc("POST /hook", func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxEvent))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			http.Error(w, fmt.Sprintf("an event has at most %d bytes", maxEvent), http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "the event cannot be read", http.StatusBadRequest)
			return
		}
		key, err := secret()
		if err != nil || key == "" {
			r.log.Error("there is no secret to tell the forge's events by", "error", err)
			http.Error(w, "events cannot be told from others'", http.StatusServiceUnavailable)
			return
		}
		good, err := gitea.VerifyWebhookSignature(key, q.Header.Get("X-Gitea-Signature"), body)
		if err != nil || !good {
			r.log.Warn("an event is not signed by the forge", "from", q.RemoteAddr)
			http.Error(w, "the event is not signed by the forge", http.StatusUnauthorized)
			return
		}
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			http.Error(w, "the event is not JSON", http.StatusBadRequest)
			return
		}
		r.heard(q.Header.Get("X-Gitea-Event"), e)
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// heard puts what an event is about into the queue.
func (r *Reviewer) heard(kind string, e event) {
	name := e.Repository.Name
	if e.Repository.Owner.UserName != r.forge.organization || !slices.Contains(r.repositories, name) {
		return
	}
	switch {
	// Somebody who may merge may set a status, too: ours is to be the newest.
	case kind == "status" && e.Sender.UserName != r.forge.account:
		r.queue.Add(subject{name, 0})
	case kind == "push" && e.Reference == "refs/heads/"+branch:
		r.queue.Add(subject{name, 0})
	case kind == "pull_request" && e.Number > 0:
		r.queue.Add(subject{name, e.Number})
	}
}
