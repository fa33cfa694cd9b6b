package reviewer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
)

// askPatience is how long the forge waits for an answer before a merge.
const askPatience = 25 * time.Second

// digest is the SHA-256 of what `git ls-tree -r -z` prints of a tree.
func (t tree) digest() string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(t)) {
		kind := "blob"
		if t[path].mode == modeSubmodule {
			kind = "commit"
		}
		fmt.Fprintf(h, "%s %s %s\t%s\x00", t[path].mode, kind, t[path].sha, path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// digests are those of merged trees, by the id of their situation. They can all be
// found out again.
type digests struct {
	mu  sync.Mutex
	all map[string]string
}

// mostDigests is how many are kept.
const mostDigests = 1000

func (d *digests) get(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[id]
}

func (d *digests) put(id, digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) >= mostDigests {
		d.all = nil
	}
	if d.all == nil {
		d.all = map[string]string{}
	}
	d.all[id] = digest
}

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// servePassed says whether an open pull request of a repository has passed that would
// make main this very tree. The forge asks before every merge.
func (r *Reviewer) servePassed(w http.ResponseWriter, q *http.Request) {
	repository, digest := q.FormValue("repository"), q.FormValue("tree")
	if !slices.Contains(r.repositories, repository) || !digestPattern.MatchString(digest) {
		http.Error(w, "say which repository and which tree", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(q.Context(), askPatience)
	defer cancel()
	passed, err := r.passed(ctx, repository, digest)
	switch {
	case err != nil:
		r.log.Warn("cannot say whether a merge was passed", "repository", repository, "error", err)
		http.Error(w, "the forge does not answer", http.StatusBadGateway)
	case !passed:
		r.log.Info("refused a merge", "repository", repository, "tree", digest)
		http.Error(w, "no open pull request that has passed makes main this", http.StatusForbidden)
	default:
		fmt.Fprintln(w, "passed")
	}
}

func (r *Reviewer) passed(ctx context.Context, repository, digest string) (bool, error) {
	open, err := r.forge.Open(ctx, repository)
	if err != nil {
		return false, err
	}
	for _, number := range open {
		makes, err := r.passedTree(ctx, subject{repository, number})
		if err != nil {
			return false, err
		}
		if makes == digest {
			return true, nil
		}
	}
	return false, nil
}

// passedTree is the digest of what a pull request that has passed would make main;
// "" of one that has not.
func (r *Reviewer) passedTree(ctx context.Context, s subject) (string, error) {
	now, open, err := r.situation(ctx, s)
	if err != nil || !open || now.base == "" {
		return "", err
	}
	verdict, err := r.said(ctx, s, now, true)
	if err != nil || verdict.state != forgeapi.Success {
		return "", err
	}
	if known := r.digests.get(now.id()); known != "" {
		return known, nil
	}
	after, _, err := r.trees(ctx, s, now)
	if err != nil {
		return "", err
	}
	r.digests.put(now.id(), after.digest())
	return after.digest(), nil
}
