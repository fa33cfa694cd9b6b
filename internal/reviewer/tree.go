package reviewer

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"code.gitea.io/sdk/gitea"
	"golang.org/x/sync/errgroup"

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
func treeOf(c *gitea.Client, owner, repository, commit string) (tree, error) {
	all := tree{}
	for page := 1; ; page++ {
		got, _, err := c.GetTrees(owner, repository, gitea.ListTreeOptions{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 1000}, Ref: commit, Recursive: true,
		})
		if err != nil {
			return nil, fmt.Errorf("list the files at %s: %w", short(commit), err)
		}
		if got.TotalCount > maxEntries {
			return nil, tooMuch(fmt.Sprintf("there are %d files and folders at %s, of at most %d: leave some out", got.TotalCount, short(commit), maxEntries))
		}
		for _, e := range got.Entries {
			if e.Type != "tree" {
				all[e.Path] = entry{e.SHA, e.Mode, e.Size}
			}
		}
		if !got.Truncated {
			return all, nil
		}
		if len(got.Entries) == 0 {
			return nil, fmt.Errorf("list the files at %s: the forge says that there are more, and sends none", short(commit))
		}
	}
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
func snapshot(ctx context.Context, c *gitea.Client, owner, repository, name string, t tree, known map[string][]byte) (*guard.Snapshot, error) {
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
			data, err := blob(c, owner, repository, sha)
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

func blob(c *gitea.Client, owner, repository, sha string) ([]byte, error) {
	got, _, err := c.GetBlob(owner, repository, sha)
	if err != nil {
		return nil, fmt.Errorf("read the object %s: %w", short(sha), err)
	}
	data, err := base64.StdEncoding.DecodeString(got.Content)
	if err != nil || int64(len(data)) != got.Size {
		return nil, fmt.Errorf("read the object %s: the forge sends %d of %d bytes", short(sha), len(data), got.Size)
	}
	return data, nil
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(12, len(commit))] }
