// Package follower tells the author of a merged pull request, there, what became of
// it, and has Argo CD look at Git again when it would wait.
//
// It keeps nothing that matters: what was merged of late it finds on the forge, what
// became of it in the cluster, and what it has said on the pull request.
package follower

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

const (
	// Namespace and ServiceAccount are what it runs as in the cluster.
	Namespace      = "guard"
	ServiceAccount = "follower"

	// look is how often Argo CD and what was merged are looked at.
	look = 2 * time.Second
	// sweep is how often the forge is asked for what was merged, if it tells nothing.
	sweep = time.Minute
	// recent is how long something merged is followed.
	recent = time.Hour
	// patience of one look.
	patience = 30 * time.Second
	// mostPulls are looked at of a repository, the ones changed last.
	mostPulls = 30
)

// Source is a repository and what becomes of its folders.
type Source struct {
	Repository string `json:"repository"`
	// Tenant is the namespace of what is made of it.
	Tenant string `json:"tenant"`
	// ApplicationSet follows it, and makes Applications called Prefix and folder.
	ApplicationSet string `json:"applicationSet"`
	Prefix         string `json:"prefix"`
}

// Settings of a Follower.
type Settings struct {
	Sources []Source `json:"sources"`
	// Namespace of ApplicationSets and Applications, Folder whose folders they follow.
	Namespace string `json:"namespace"`
	Folder    string `json:"folder"`
	// Keys is whether the gateway asks for one.
	Keys bool `json:"keys"`
}

// Follower of what is merged.
type Follower struct {
	log      *slog.Logger
	forge    forgeapi.Forge
	cluster  dynamic.Interface
	settings Settings
	// gateway is the URL at which people ask endpoints.
	gateway func() (string, error)

	told chan string // repositories in which something has happened
	// said is the last comment on each pull request, settled those of which there is
	// nothing more to say.
	said    map[subject]string
	settled map[subject]bool
	// limited is until when the forge takes no requests.
	limited time.Time
}

// subject is a pull request of a source.
type subject struct {
	source int
	number int64
}

// New makes one.
func New(log *slog.Logger, forge forgeapi.Forge, cluster dynamic.Interface, s Settings, gateway func() (string, error)) *Follower {
	return &Follower{
		log: log, forge: forge, cluster: cluster, settings: s, gateway: gateway,
		told: make(chan string, 64), said: map[subject]string{}, settled: map[subject]bool{},
	}
}

// Handler takes the forge's events at /hook, signed with a secret, and says at /healthz
// and /readyz that it does.
func (f *Follower) Handler(secret func() (string, error)) http.Handler {
	mux := http.NewServeMux()
	forgeapi.Alive(mux)
	mux.HandleFunc("POST /hook", forgeapi.Events(f.log, f.forge, secret, f.heard))
	return mux
}

func (f *Follower) heard(e forgeapi.Event) {
	if f.sourceOf(e.Repository) < 0 || e.Kind != forgeapi.PullRequest && !e.OfBranch() {
		return
	}
	select {
	case f.told <- e.Repository:
	default: // so many have happened that it is about to look anyway
	}
}

func (f *Follower) sourceOf(repository string) int {
	return slices.IndexFunc(f.settings.Sources, func(s Source) bool { return s.Repository == repository })
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	var all sync.WaitGroup
	var repositories []string
	for _, s := range f.settings.Sources {
		repositories = append(repositories, s.Repository)
	}
	all.Go(func() { f.forge.Watch(ctx, repositories, f.heard) })
	all.Go(func() { f.keepAwake(ctx) })
	all.Go(func() { f.follow(ctx) })
	all.Wait()
}

// merged is a pull request that was, of late.
type merged struct {
	subject
	author string
	// commit is what main became.
	commit string
	at     time.Time
}

// follow looks after what was merged of late.
func (f *Follower) follow(ctx context.Context) {
	var open []merged
	tick, all := time.NewTicker(look), time.NewTicker(sweep)
	defer tick.Stop()
	defer all.Stop()
	for again := true; ; {
		if again {
			open, again = f.list(ctx), false
		}
		for _, m := range open {
			f.attend(ctx, m)
		}
		open = slices.DeleteFunc(open, func(m merged) bool { return f.settled[m.subject] })
		select {
		case <-ctx.Done():
			return
		case repository := <-f.told:
			f.wake(ctx, f.settings.Sources[f.sourceOf(repository)].ApplicationSet)
			again = true
		case <-all.C:
			again = true
		case <-tick.C:
		}
	}
}

// list is what was merged of late in all repositories and is not settled.
func (f *Follower) list(ctx context.Context) []merged {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []merged
	for i, s := range f.settings.Sources {
		pulls, err := f.forge.Merged(ctx, s.Repository, mostPulls)
		if err != nil {
			f.cannot(f.log.With("repository", s.Repository), "cannot list what was merged", err)
			continue
		}
		for _, p := range pulls {
			m := merged{subject: subject{i, p.Number}, author: p.Author, commit: p.Commit, at: p.At}
			if time.Since(p.At) <= recent && !f.settled[m.subject] {
				all = append(all, m)
			}
		}
	}
	return all
}

// attend says what became of one by now.
func (f *Follower) attend(ctx context.Context, m merged) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	source := f.settings.Sources[m.source]
	log := f.log.With("repository", source.Repository, "number", m.number)
	folders, err := f.folders(ctx, source, m)
	if err != nil {
		f.cannot(log, "cannot say what became of it", err)
		return
	}
	var all []outcome
	settled := true
	main, err := f.forge.Head(ctx, source.Repository)
	if err != nil {
		f.cannot(log, "cannot say what became of it", err)
		return
	}
	for _, folder := range folders {
		there, err := f.forge.Has(ctx, source.Repository, main, f.settings.Folder+"/"+folder)
		var o outcome
		if err == nil {
			o, err = f.outcome(ctx, source, folder, f.reached(ctx, source, m.commit), there, m.at)
		}
		if err != nil {
			f.cannot(log.With("folder", folder), "cannot say what became of it", err)
			return
		}
		all = append(all, o)
		settled = settled && o.settled
	}
	if len(all) > 0 {
		gateway, err := f.gateway()
		if err != nil {
			log.Warn("does not know where the gateway is", "error", err)
			return
		}
		body := f.text(m.author, all, gateway)
		if f.said[m.subject] != body {
			if err := f.forge.Comment(ctx, source.Repository, m.number, Marker, body); err != nil {
				f.cannot(log, "cannot say what became of it", err)
				return
			}
			f.said[m.subject] = body
			log.Info("said what became of it", "settled", settled, "seconds", time.Since(m.at).Seconds())
		}
	}
	if settled || time.Since(m.at) > recent {
		f.settled[m.subject] = true
		delete(f.said, m.subject)
	}
}

// cannot says why not; once, if the forge takes no requests for a while.
func (f *Follower) cannot(log *slog.Logger, what string, err error) {
	var limited *forgeapi.Limited
	if errors.As(err, &limited) {
		if !limited.Until.Equal(f.limited) {
			f.log.Warn("waits for the forge", "until", limited.Until)
		}
		f.limited = limited.Until
		return
	}
	log.Warn(what, "error", err)
}

// reached is whether a commit has a merge in it. Argo CD compares no Application anew
// because another folder was merged.
func (f *Follower) reached(ctx context.Context, s Source, merge string) func(string) (bool, error) {
	return func(commit string) (bool, error) {
		if commit == "" || commit == merge {
			return commit != "", nil
		}
		return f.forge.Contains(ctx, s.Repository, commit, merge)
	}
}

// folders that a pull request has changed, in which there is or was something.
func (f *Follower) folders(ctx context.Context, s Source, m merged) ([]string, error) {
	files, err := f.forge.Changed(ctx, s.Repository, m.number)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range files {
		if folder := folderOf(f.settings.Folder, name); folder != "" && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
	}
	slices.Sort(all)
	return all, nil
}
