// Package follower tells the author of a merged pull request, there, what became of
// it, and has Argo CD look at Git again when it would wait.
//
// It keeps nothing that matters: what was merged of late it finds on the forge, what
// became of it in the cluster, and what it has said on the pull request.
package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"code.gitea.io/sdk/gitea"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

const (
	// Namespace and ServiceAccount are what it runs as in the cluster.
	Namespace      = "guard"
	ServiceAccount = "follower"

	// branch is what is followed.
	branch = "main"
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
	forge    *forgeapi.Forge
	cluster  dynamic.Interface
	settings Settings
	// gateway is the URL at which people ask endpoints.
	gateway func() (string, error)

	told chan string // repositories in which something has happened
	// said is the last comment on each pull request, settled those of which there is
	// nothing more to say.
	said    map[subject]string
	settled map[subject]bool
}

// subject is a pull request of a source.
type subject struct {
	source int
	number int64
}

// New makes one.
func New(log *slog.Logger, forge *forgeapi.Forge, cluster dynamic.Interface, s Settings, gateway func() (string, error)) *Follower {
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
	mux.HandleFunc("POST /hook", forgeapi.Events(f.log, secret, f.heard))
	return mux
}

func (f *Follower) heard(e forgeapi.Event) {
	if e.Repository.Owner.UserName != f.forge.Organization || f.sourceOf(e.Repository.Name) < 0 {
		return
	}
	if e.Kind != "pull_request" && (e.Kind != "push" || e.Reference != "refs/heads/"+branch) {
		return
	}
	select {
	case f.told <- e.Repository.Name:
	default: // so many have happened that it is about to look anyway
	}
}

func (f *Follower) sourceOf(repository string) int {
	return slices.IndexFunc(f.settings.Sources, func(s Source) bool { return s.Repository == repository })
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	var all sync.WaitGroup
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
	c, err := f.forge.Client(ctx)
	if err != nil {
		f.log.Warn("cannot ask the forge", "error", err)
		return nil
	}
	var all []merged
	for i, s := range f.settings.Sources {
		pulls, _, err := c.ListRepoPullRequests(f.forge.Organization, s.Repository, gitea.ListPullRequestsOptions{
			ListOptions: gitea.ListOptions{Page: 1, PageSize: mostPulls}, State: gitea.StateClosed, Sort: "recentupdate",
		})
		if err != nil {
			f.log.Warn("cannot list what was merged", "repository", s.Repository, "error", err)
			continue
		}
		for _, p := range pulls {
			m := merged{subject: subject{i, p.Index}}
			if !p.HasMerged || p.Merged == nil || time.Since(*p.Merged) > recent || p.Base == nil || p.Base.Ref != branch || f.settled[m.subject] {
				continue
			}
			m.at = *p.Merged
			if p.MergedCommitID != nil {
				m.commit = *p.MergedCommitID
			}
			if p.Poster != nil {
				m.author = p.Poster.UserName
			}
			all = append(all, m)
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
	c, err := f.forge.Client(ctx)
	if err != nil {
		log.Warn("cannot ask the forge", "error", err)
		return
	}
	folders, err := f.folders(c, source, m)
	if err != nil {
		log.Warn("cannot say what became of it", "error", err)
		return
	}
	var all []outcome
	settled := true
	main, _, err := c.GetRepoBranch(f.forge.Organization, source.Repository, branch)
	if err != nil || main.Commit == nil {
		log.Warn("cannot say what became of it", "error", errors.Join(fmt.Errorf("read the branch %s", branch), err))
		return
	}
	for _, folder := range folders {
		there, err := f.there(c, source, main.Commit.ID, folder)
		var o outcome
		if err == nil {
			o, err = f.outcome(ctx, source, folder, f.reached(c, source, m.commit), there, m.at)
		}
		if err != nil {
			log.Warn("cannot say what became of it", "folder", folder, "error", err)
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
			if err := f.forge.Comment(c, source.Repository, m.number, Marker, body); err != nil {
				log.Warn("cannot say what became of it", "error", err)
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

// reached is whether a commit has a merge in it. Argo CD compares no Application anew
// because another folder was merged.
func (f *Follower) reached(c *gitea.Client, s Source, merge string) func(string) (bool, error) {
	return func(commit string) (bool, error) {
		if commit == "" || commit == merge {
			return commit != "", nil
		}
		more, response, err := c.CompareCommits(f.forge.Organization, s.Repository, commit, merge)
		switch {
		case forgeapi.IsGone(response):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("compare %s with %s: %w", commit, merge, err)
		}
		return more.TotalCommits == 0, nil
	}
}

// there is whether a commit has a folder.
func (f *Follower) there(c *gitea.Client, s Source, commit, folder string) (bool, error) {
	_, response, err := c.ListContents(f.forge.Organization, s.Repository, commit, f.settings.Folder+"/"+folder)
	switch {
	case forgeapi.IsGone(response):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for folder %s: %w", folder, err)
	}
	return true, nil
}

// folders that a pull request has changed, in which there is or was something.
func (f *Follower) folders(c *gitea.Client, s Source, m merged) ([]string, error) {
	var all []string
	for page := 1; ; page++ {
		files, _, err := c.ListPullRequestFiles(f.forge.Organization, s.Repository, m.number, gitea.ListPullRequestFilesOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 50},
		})
		if err != nil {
			return nil, fmt.Errorf("list the files of pull request %d: %w", m.number, err)
		}
		for _, file := range files {
			for _, name := range []string{file.Filename, file.PreviousFilename} {
				if folder := folderOf(f.settings.Folder, name); folder != "" && !slices.Contains(all, folder) {
					all = append(all, folder)
				}
			}
		}
		if len(files) < 50 {
			slices.Sort(all)
			return all, nil
		}
	}
}
