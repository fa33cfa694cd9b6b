package verify

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/check"
)

var update = flag.Bool("update", false, "rewrite docs/verify.md")

func TestThePageOfChecksIsTheChecks(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "verify.md")
	var now bytes.Buffer
	require.NoError(t, Markdown(&now))
	if *update {
		require.NoError(t, os.WriteFile(file, now.Bytes(), 0o644))
	}
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, now.String(), string(written), "run `go test ./internal/verify -update`")
}

func TestEveryCheckSaysWhatItIsAndNoIDIsTwice(t *testing.T) {
	all := (&Platform{}).Checks()
	ids := check.IDs(all)
	for i, c := range all {
		assert.Regexp(t, regexp.MustCompile(`^[A-F][1-9][0-9]?$`), c.ID)
		assert.NotContains(t, ids[:i], c.ID)
		for what, text := range map[string]string{"Title": c.Title, "Asks": c.Asks, "Remedy": c.Remedy} {
			assert.NotEmpty(t, text, "%s has no %s", c.ID, what)
		}
		assert.True(t, strings.HasSuffix(c.Asks, "."), "%s: %s", c.ID, c.Asks)
		assert.NotNil(t, c.Run, c.ID)
		assert.Less(t, c.Limit, Whole, c.ID)
		for _, id := range c.Follows {
			assert.Contains(t, ids, id, "%s follows what is not there", c.ID)
			assert.NotEqual(t, c.ID, id)
		}
	}
	for _, g := range Groups {
		assert.True(t, slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, g.Letter) }), "group %s has no check", g.Letter)
	}
}

// watched are the checks of which each asks whether a part's workloads run.
var watched = map[string]string{"argocd": "A2", "serving": "B1", "kyverno": "D1", "reviews": "C5", "cost": "E1", "dashboards": "E3", "portal": "C1"}

func TestEveryPartWithNamespacesOfItsOwnIsAskedWhetherItRuns(t *testing.T) {
	parts, err := defaultParts()
	require.NoError(t, err)
	ids := check.IDs((&Platform{}).Checks())
	for _, part := range parts {
		if len(part.Layers.Namespaces()) == 0 {
			continue
		}
		id := watched[part.Name]
		assert.NotEmpty(t, id, "part %s runs something in %v: add a check to a group that asks `p.run(%q)`, and its ID here", part.Name, part.Layers.Namespaces(), part.Name)
		assert.Contains(t, ids, id)
	}
}

func contextOf(t *testing.T, limit time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), limit)
}
