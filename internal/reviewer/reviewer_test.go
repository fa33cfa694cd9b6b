package reviewer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

var good = files{"apps/new/a.yaml": {content: "new: 1"}}

func TestAPullRequestIsJudgedAsItWouldBeMerged(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	f.propose(1, "h1", "m0", good)
	f.move("m1", files{"apps/other/a.yaml": {content: "other: 1"}, "apps/old/a.yaml": {}})
	attend(t, reviewer(t, forge, p), 1)

	assert.Equal(t, []string{"pending", "success"}, f.said("h1"))
	require.Len(t, p.jobs, 1)
	assert.Equal(t, repository, p.jobs[0].Repository)
	assert.Equal(t, map[string]string{"README.md": "", "apps/other/a.yaml": "other: 1", "apps/new/a.yaml": "new: 1"}, contents(p.jobs[0].After),
		"what others have merged meanwhile is in it, what they removed is not")
	assert.Equal(t, map[string]string{"README.md": "", "apps/other/a.yaml": "other: 1"}, contents(p.jobs[0].Before))
	assert.Equal(t, "main at m1", p.jobs[0].Before.Name)
	require.Len(t, f.comments[1], 1)
	assert.Equal(t, guard.Marker+"\npassed\n---\nh1 as it would be merged into main at m1\n", f.comments[1][0].Body)
	assert.Regexp(t, `^1 object passed \(main at m1, check [0-9a-f]{12}\)$`, f.last("h1").Description)
}

func contents(s *guard.Snapshot) map[string]string {
	all := map[string]string{}
	for _, f := range s.Files {
		all[f.Path] = string(f.Data)
	}
	return all
}

func TestWhatIsJudgedIsNotJudgedAgain(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	f.propose(1, "h1", "m0", good)
	attend(t, reviewer(t, forge, p), 1)
	before := len(f.asked)
	attend(t, reviewer(t, forge, p), 1) // another process
	assert.Len(t, f.asked, before, "something was posted twice")
	assert.Len(t, p.jobs, 1)
}

func TestItIsJudgedAgainWhenSomethingHasChanged(t *testing.T) {
	for name, change := range map[string]func(f *forgeDouble, r *Reviewer){
		"main": func(f *forgeDouble, _ *Reviewer) { f.move("m1", files{"x": {content: "x"}}) },
		"commit": func(f *forgeDouble, _ *Reviewer) {
			f.propose(1, "h1b", "m0", files{"apps/new/a.yaml": {content: "bad"}})
		},
		"rules": func(_ *forgeDouble, r *Reviewer) { r.rules = "rules-2" },
		"status": func(f *forgeDouble, _ *Reviewer) {
			// By somebody who may write: it counts for nothing.
			f.statuses["h1"] = append(f.statuses["h1"], status{ID: 9, State: "success", Context: Context, Description: f.statuses["h1"][1].Description,
				Creator: map[string]string{"login": "somebody"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, forge := newForge(t)
			p := &passes{}
			r := reviewer(t, forge, p)
			f.propose(1, "h1", "m0", good)
			attend(t, r, 1)
			change(f, r)
			attend(t, r, 1)
			assert.Len(t, p.jobs, 2)
			require.Len(t, f.comments[1], 1, "a second comment instead of the first one changed")
			if name == "commit" {
				assert.Equal(t, []string{"pending", "failure"}, f.said("h1b"))
				assert.Contains(t, f.comments[1][0].Body, "failed")
			}
		})
	}
}

func TestAVerdictThatIsNotTrueAnyMoreIsNotPosted(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	p.during = func(Job) {
		if len(p.jobs) == 1 {
			f.move("m1", files{"apps/other/a.yaml": {content: "bad"}})
		}
	}
	f.propose(1, "h1", "m0", good)
	attend(t, reviewer(t, forge, p), 1)
	assert.Equal(t, []string{"pending", "pending", "failure"}, f.said("h1"), "main has changed while it was checked")
}

func TestAProcessThatEndedInTheMiddleIsTakenOverFrom(t *testing.T) {
	f, forge := newForge(t)
	f.propose(1, "h1", "m0", good)
	for i := 1; i <= attempts; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		killed := &passes{during: func(Job) { cancel() }, err: context.Canceled}
		_, err := reviewer(t, forge, killed).attend(ctx, subject{repository, 1})
		require.Error(t, err)
		assert.Regexp(t, fmt.Sprintf("^attempt %d: checking", i), f.last("h1").Description)
	}
	p := &passes{}
	attend(t, reviewer(t, forge, p), 1)
	assert.Empty(t, p.jobs, "it takes the process down every time")
	assert.Equal(t, "failure", f.last("h1").State)
	assert.Contains(t, f.comments[1][0].Body, "has ended 3 times before it was done")

	f.propose(1, "h2", "m0", good)
	attend(t, reviewer(t, forge, p), 1)
	assert.Equal(t, "success", f.last("h2").State)
}

func TestWhatCannotBeCheckedIsNeitherPassedNorForgotten(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{err: errors.New("no\nmemory")}
	r := reviewer(t, forge, p)
	f.propose(1, "h1", "m0", good)
	_, err := r.attend(t.Context(), subject{repository, 1})
	require.ErrorContains(t, err, "memory")
	assert.Equal(t, []string{"pending", "error"}, f.said("h1"))
	assert.Contains(t, f.last("h1").Description, "could not check, tries again: no memory")
	p.err = nil
	attend(t, r, 1)
	assert.Equal(t, "success", f.last("h1").State)
}

func TestWhatIsNotLookedAtIsRefused(t *testing.T) {
	many, manifests, large := files{}, files{}, files{}
	for i := range maxEntries {
		many[fmt.Sprint("docs/", i)] = file{content: "x"}
	}
	for i := range maxManifests {
		manifests[fmt.Sprintf("apps/e%d/a.yaml", i)] = file{content: "x"}
	}
	for i := range 9 {
		large[fmt.Sprintf("apps/e%d/a.yaml", i)] = file{content: fmt.Sprint(i) + strings.Repeat("x", maxManifest-1)}
	}
	for name, test := range map[string]struct {
		content files
		want    string
	}{
		"a repository of files":           {many, "there are 10002 files and folders at h1, of at most 10000"},
		"more manifests than anybody has": {manifests, "there are more than 1000 manifests"},
		"more bytes of them":              {large, "have more than 8 MiB"},
		"a file that main has changed too": {files{"apps/old/a.yaml": {content: "old: 2"}},
			"main has changed the same since this began: apps/old/a.yaml"},
		"a renamed file that main has changed": {files{"apps/old/a.yaml": {}, "apps/renamed/a.yaml": {content: "old: 1"}},
			"main has changed the same since this began: apps/old/a.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			f, forge := newForge(t)
			p := &passes{}
			f.propose(1, "h1", "m0", test.content)
			f.move("m1", files{"apps/old/a.yaml": {content: "bad: 1"}})
			attend(t, reviewer(t, forge, p), 1)
			assert.Empty(t, p.jobs)
			assert.Equal(t, []string{"pending", "failure"}, f.said("h1"))
			assert.Contains(t, f.comments[1][0].Body, test.want)
		})
	}
}

func TestWhatIsNoFileIsNotFetched(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	f.propose(1, "h1", "m0", files{
		"apps/a/link.yaml": {content: "../../../etc/passwd", mode: modeLink},
		"apps/a/sub.yaml":  {content: "submodule", mode: modeSubmodule},
		"apps/a/10mb.yaml": {content: "10 MB", size: 10 << 20 >> 4},
		"apps/a/huge.yaml": {content: "huge", size: 2 << 20},
		"apps/ä/b c.yaml":  {content: "ok: 1"},
		"docs/a.yaml":      {content: "not an endpoint"},
	})
	f.commits["h1"]["apps/a/10mb.yaml"] = file{content: "10 MB", size: 3 << 20}
	attend(t, reviewer(t, forge, p), 1)
	require.Len(t, p.jobs, 1)
	got := map[string]guard.File{}
	for _, f := range p.jobs[0].After.Files {
		got[f.Path] = f
	}
	assert.True(t, got["apps/a/link.yaml"].Link)
	assert.True(t, got["apps/a/sub.yaml"].Link)
	for _, path := range []string{"apps/a/link.yaml", "apps/a/sub.yaml", "apps/a/10mb.yaml", "apps/a/huge.yaml", "docs/a.yaml"} {
		assert.Empty(t, got[path].Data, path)
	}
	assert.Equal(t, "ok: 1", string(got["apps/ä/b c.yaml"].Data))
}

func TestAnothersCommentIsLeftAlone(t *testing.T) {
	f, forge := newForge(t)
	f.comments[1] = []note{{7, guard.Marker + "\nForged: passed", map[string]string{"login": "somebody"}}}
	f.propose(1, "h1", "m0", good)
	attend(t, reviewer(t, forge, &passes{}), 1)
	require.Len(t, f.comments[1], 2)
	assert.Contains(t, f.comments[1][0].Body, "Forged")
}

func TestNobodysConcern(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	r := reviewer(t, forge, p)
	f.propose(1, "h1", "m0", good)
	f.pulls[1]["state"] = "closed"
	f.propose(2, "h2", "m0", good)
	f.pulls[2]["base"] = map[string]any{"ref": "other"}
	for _, number := range []int64{1, 2, 99} {
		attend(t, r, number)
	}
	assert.Empty(t, f.asked)
}

func TestItWaitsUntilTheForgeKnowsWhereItBegan(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	r := reviewer(t, forge, p)
	f.propose(1, "h1", "m0", good)
	f.move("m1", files{"x": {content: "x"}})
	for _, base := range []string{"", "m1"} { // m1 is not below h1
		f.pulls[1]["merge_base"] = base
		again, err := r.attend(t.Context(), subject{repository, 1})
		require.NoError(t, err)
		assert.Positive(t, again)
		assert.Empty(t, f.asked, "judged from %q", base)
	}
	f.pulls[1]["merge_base"] = "m0"
	attend(t, r, 1)
	assert.Equal(t, "success", f.last("h1").State)
}

func TestATokenThatIsGoneIsMadeAnew(t *testing.T) {
	f, forge := newForge(t)
	r := reviewer(t, forge, &passes{})
	f.propose(1, "h1", "m0", good)
	attend(t, r, 1)
	f.token = "another's"
	f.propose(2, "h2", "m0", good)
	_, err := r.attend(t.Context(), subject{repository, 2})
	require.Error(t, err)
	attend(t, r, 2)
	assert.Equal(t, "success", f.last("h2").State)
	assert.Equal(t, 2, f.made)
}

func TestAForgeWhoseAuthorityIsNotKnownIsNotSignedInTo(t *testing.T) {
	f, forge := newForge(t)
	known := f.trusted
	f.trusted = x509.NewCertPool()
	_, err := forge.Head(t.Context(), repository)
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	assert.Zero(t, f.made, "the password was sent")
	f.trusted = known
	_, err = forge.Head(t.Context(), repository)
	require.NoError(t, err, "an authority that was made known later is not believed")
}

// All that were open before it began, and what it is never told of.
func TestNoEventIsNeeded(t *testing.T) {
	f, forge := newForge(t)
	p := &passes{}
	const many = 10
	for n := int64(1); n <= many; n++ {
		content := good
		if n%2 == 0 {
			content = files{"apps/new/a.yaml": {content: "bad"}}
		}
		f.propose(n, fmt.Sprint("h", n), "m0", content)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	r := reviewer(t, forge, p)
	go func() { r.Run(ctx); close(ended) }()
	require.Eventually(t, func() bool {
		for n := 1; n <= many; n++ {
			want := map[bool]string{true: "failure", false: "success"}[n%2 == 0]
			if said := f.said(fmt.Sprint("h", n)); len(said) == 0 || said[len(said)-1] != want {
				return false
			}
		}
		return true
	}, 20*time.Second, 20*time.Millisecond)
	cancel()
	<-ended
	assert.Len(t, p.jobs, many)
}
