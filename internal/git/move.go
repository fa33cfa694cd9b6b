package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Moved is what Move did.
type Moved struct {
	// Refs are the branches and tags that are there now, New those that were not, or not
	// as they are.
	Refs, New int
}

// ErrEmpty is that a repository has neither branch nor tag.
var ErrEmpty = errors.New("it is empty")

// OtherContent are branches and tags of a repository that are not of the one that is
// moved there.
type OtherContent []string

func (o OtherContent) Error() string {
	const most = 10
	return "it has what is not to be moved there: " + strings.Join(o[:min(most, len(o))], ", ")
}

// Move pushes every branch and tag of one repository to another, with what they are made
// of. It pushes nothing if the other has anything else: OtherContent. It may be done
// again: what is there already is left alone. It clones into dir, in the way Clone does.
func Move(ctx context.Context, from, to Remote, dir string) (Moved, error) {
	var settings [2][]string
	for i, each := range []struct {
		name   string
		remote Remote
	}{{"from", from}, {"to", to}} {
		at := filepath.Join(dir, each.name)
		if err := os.Mkdir(at, 0o700); err != nil {
			return Moved{}, err
		}
		var err error
		if settings[i], err = each.remote.keep(at); err != nil {
			return Moved{}, err
		}
	}
	clone := filepath.Join(dir, "clone")
	if _, err := Run(ctx, dir, slices.Concat(settings[0], []string{"clone", "--quiet", "--mirror", from.URL, clone})...); err != nil {
		return Moved{}, err
	}
	text, err := Run(ctx, clone, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return Moved{}, err
	}
	ours := refs(text)
	if len(ours) == 0 {
		return Moved{}, ErrEmpty
	}
	if text, err = Run(ctx, clone, slices.Concat(settings[1], []string{"ls-remote", "--refs", to.URL, "refs/heads/*", "refs/tags/*"})...); err != nil {
		return Moved{}, err
	}
	theirs := refs(text)
	if other := beyond(ctx, clone, theirs, ours); len(other) > 0 {
		return Moved{}, other
	}
	m := Moved{Refs: len(ours)}
	for name, commit := range ours {
		if theirs[name] != commit {
			m.New++
		}
	}
	if m.New == 0 {
		return m, nil
	}
	_, err = Run(ctx, clone, slices.Concat(settings[1], []string{"push", "--quiet", "--atomic", to.URL, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"})...)
	return m, err
}

// refs are lines of a commit and a name.
func refs(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 2 {
			all[fields[1]] = fields[0]
		}
	}
	return all
}

// beyond are those of theirs that ours do not come after.
func beyond(ctx context.Context, clone string, theirs, ours map[string]string) OtherContent {
	var other OtherContent
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		commit := theirs[name]
		if ours[name] == commit {
			continue
		}
		before := strings.HasPrefix(name, "refs/heads/") && ours[name] != ""
		if before {
			_, err := Run(ctx, clone, "merge-base", "--is-ancestor", commit, ours[name])
			before = err == nil
		}
		if !before {
			other = append(other, fmt.Sprintf("%s at %s", strings.TrimPrefix(name, "refs/"), commit[:min(12, len(commit))]))
		}
	}
	return other
}
