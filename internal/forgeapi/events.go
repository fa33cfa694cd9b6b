package forgeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"code.gitea.io/sdk/gitea"
)

// MaxEvent bounds what the forge sends of an event, in bytes.
const MaxEvent = 4 << 20

// Event is what of one matters: where something has happened. What, is looked up, so
// that an old one sent again does nothing.
type Event struct {
	// Kind is Gitea's word for it, such as push.
	Kind      string `json:"-"`
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

// Events takes the forge's, signed with a secret, and hands them to heard.
func Events(log *slog.Logger, secret func() (string, error), heard func(Event)) http.HandlerFunc {
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
		good, err := gitea.VerifyWebhookSignature(key, q.Header.Get("X-Gitea-Signature"), body)
		if err != nil || !good {
			log.Warn("an event is not signed by the forge", "from", q.RemoteAddr)
			http.Error(w, "the event is not signed by the forge", http.StatusUnauthorized)
			return
		}
		e := Event{Kind: q.Header.Get("X-Gitea-Event")}
		if err := json.Unmarshal(body, &e); err != nil {
			http.Error(w, "the event is not JSON", http.StatusBadRequest)
			return
		}
		heard(e)
		w.WriteHeader(http.StatusAccepted)
	}
}

// Alive answers /healthz and /readyz.
func Alive(mux *http.ServeMux) {
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
}
