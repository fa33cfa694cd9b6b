package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/relocate"
)

func TestAMoveThatCannotBeginIsSaidBeforeAnythingIsAsked(t *testing.T) {
	for want, args := range map[string][]string{
		`--to "" is neither github nor gitea`:       nil,
		`--to "gitlab" is neither github nor gitea`: {"--to", "gitlab"},
		`neuroscale:forge.organization is "neuroscale": write --organization and who owns the repositories on GitHub`:                {"--to", "github"},
		"there is no token for GitHub: set NEUROSCALE_GITHUB_TOKEN or GITHUB_TOKEN to one that administers the repositories of acme": {"--to", "gitea", "--organization", "acme"},
	} {
		m := newMachine(t)
		code, out, errout := m.run(append([]string{"forge", "move"}, args...)...)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errout, want)
	}
}

func TestAMoveSaysWhatStayedBehind(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printMoved(&out, []relocate.Result{{Repository: "endpoints", Refs: 3, New: 2, Left: []int64{3, 7}}, {Repository: "models", Refs: 1}}))
	assert.Equal(t, "REPOSITORY  BRANCHES AND TAGS  NEW  PULL REQUESTS LEFT BEHIND\n"+
		"endpoints   3                  2    3, 7\n"+
		"models      1                  0    none\n", out.String())
}
