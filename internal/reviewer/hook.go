package reviewer

import (
	"net/http"
	"slices"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

// Handler takes the forge's events at /hook, signed with a secret, says at /passed
// whether something may be merged, and at /healthz and /readyz that it does.
func (r *Reviewer) Handler(secret func() (string, error)) http.Handler {
	mux := http.NewServeMux()
	forgeapi.Alive(mux)
	mux.HandleFunc("GET /passed", r.servePassed)
	mux.HandleFunc("POST /hook", forgeapi.Events(r.log, r.forge, secret, r.heard))
	return mux
}

// heard puts what an event is about into the queue.
func (r *Reviewer) heard(e forgeapi.Event) {
	switch name := e.Repository; {
	case !slices.Contains(r.repositories, name):
	// Somebody who may merge may set a status, too: ours is to be the newest.
	case e.Kind == forgeapi.StatusSet && !e.Own, e.OfBranch():
		r.queue.Add(subject{name, 0})
	case e.Kind == forgeapi.PullRequest && e.Number > 0:
		r.queue.Add(subject{name, e.Number})
	}
}
