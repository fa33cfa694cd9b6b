package reviewer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

// Bounds of what is looked at of a repository. What is beyond them is refused.
const (
	maxEntries   = 10000
	maxManifests = 1000
	maxManifest  = 1 << 20 // bytes
	maxBytes     = 8 << 20 // bytes of all
	fetchAtOnce  = 8
)

// Git's modes of what is no file.
const (
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// entry is what a tree has at a path.
type entry struct {
	sha, mode string
	size      int64
}

// tree is all of a commit but its folders, by path.
type tree map[string]entry

// tooMuch is a repository that is not looked at, and why.
type tooMuch string

func (t tooMuch) Error() string { return string(t) }

// treeOf lists a commit.
func (r *Reviewer) treeOf(ctx context.Context, repository, commit string) (tree, error) {
	entries, err := r.forge.Tree(ctx, repository, commit, maxEntries)
	var many forgeapi.TooMany
	switch {
	case errors.As(err, &many):
		return nil, tooMuch(fmt.Sprintf("%s at %s, of at most %d: leave some out", many, short(commit), maxEntries))
	case err != nil:
		return nil, fmt.Errorf("list the files at %s: %w", short(commit), err)
	}
	all := tree{}
	for _, e := range entries {
		all[e.Path] = entry{e.SHA, e.Mode, e.Size}
	}
	return all, nil
}

// merged is what git makes of ours and theirs, which both began as base, and the
// paths that both have changed. Of those it makes nothing: what git would, within a
// file or by following a rename, nobody has looked at.
func merged(base, ours, theirs tree) (tree, []string) {
	out := maps.Clone(ours)
	var both []string
	for _, path := range slices.Sorted(maps.Keys(union(base, theirs))) {
		b, t, o := base[path], theirs[path], ours[path]
		switch {
		case same(t, b), same(t, o):
		case !same(o, b):
			both = append(both, path)
		case t == entry{}:
			delete(out, path)
		default:
			out[path] = t
		}
	}
	return out, both
}

func union(a, b tree) tree {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func same(a, b entry) bool { return a.sha == b.sha && a.mode == b.mode }

// snapshot fetches what a check reads of a tree.
func (r *Reviewer) snapshot(ctx context.Context, repository, name string, t tree, known map[string][]byte) (*guard.Snapshot, error) {
	s := &guard.Snapshot{Name: name}
	left, count := int64(maxBytes), 0
	wanted := map[string][]int{}
	for _, path := range slices.Sorted(maps.Keys(t)) {
		e := t[path]
		f := guard.File{Path: path, Size: e.size, Link: e.mode == modeLink || e.mode == modeSubmodule}
		if f.Wanted() {
			if count++; count > maxManifests {
				return nil, tooMuch(fmt.Sprintf("there are more than %d manifests: leave some out", maxManifests))
			}
			if left -= e.size; e.size <= maxManifest && left >= 0 {
				wanted[e.sha] = append(wanted[e.sha], len(s.Files))
			}
		}
		s.Files = append(s.Files, f)
	}
	if left < 0 {
		return nil, tooMuch(fmt.Sprintf("the manifests have more than %d MiB: leave some out", maxBytes>>20))
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(fetchAtOnce)
	fetched := make([][]byte, len(wanted))
	shas := slices.Sorted(maps.Keys(wanted))
	for i, sha := range shas {
		if data, ok := known[sha]; ok {
			fetched[i] = data
			continue
		}
		all.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			data, err := r.blob(ctx, repository, sha, t[s.Files[wanted[sha][0]].Path].size)
			fetched[i] = data
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	for i, sha := range shas {
		known[sha] = fetched[i]
		for _, at := range wanted[sha] {
			s.Files[at].Data = fetched[i]
		}
	}
	return s, nil
}

func (r *Reviewer) blob(ctx context.Context, repository, sha string, size int64) ([]byte, error) {
	data, err := r.forge.Blob(ctx, repository, sha)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("the forge sends %d of %d bytes", len(data), size)
	}
	if err != nil {
		return nil, fmt.Errorf("read the object %s: %w", short(sha), err)
	}
	return data, nil
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(12, len(commit))] }
