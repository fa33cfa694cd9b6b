// Package outputs reads what a stack that is up put out. It is apart from package rig,
// which the tests of components use too: they cannot import stacks.
package outputs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// Of decodes the outputs of a stack, secrets among them; an unknown one fails.
func Of(ctx context.Context, t *testing.T, env []string, dir, stack string) *stacks.Outputs {
	t.Helper()
	r, err := rig.Command{
		Path: rig.Program(env, "pulumi"), Env: env, Dir: dir,
		Args: []string{"stack", "output", "--json", "--show-secrets", "--stack", stack, "--non-interactive"},
	}.Run(ctx)
	require.NoError(t, err)
	// Not what it printed: passwords are in that.
	require.Zero(t, r.Code, "pulumi stack output: %s", r.Stderr)
	var o stacks.Outputs
	d := json.NewDecoder(strings.NewReader(r.Stdout))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&o))
	return &o
}
