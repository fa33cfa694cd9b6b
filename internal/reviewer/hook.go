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
	mux.HandleFunc("POST /hook", forgeapi.Events(r.log, secret, r.heard))
	return mux
}

// heard puts what an event is about into the queue.
func (r *Reviewer) heard(e forgeapi.Event) {
	name := e.Repository.Name
	if e.Repository.Owner.UserName != r.forge.Organization || !slices.Contains(r.repositories, name) {
		return
	}
	switch {
	// Somebody who may merge may set a status, too: ours is to be the newest.
	case e.Kind == "status" && e.Sender.UserName != r.forge.Account:
		r.queue.Add(subject{name, 0})
	case e.Kind == "push" && e.Reference == "refs/heads/"+branch:
		r.queue.Add(subject{name, 0})
	case e.Kind == "pull_request" && e.Number > 0:
		r.queue.Add(subject{name, e.Number})
	}
}
