package rig

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/stacks"
)

// Outputs decodes those of a stack, secrets among them; an unknown one fails.
func Outputs(ctx context.Context, t *testing.T, env []string, dir, stack string) *stacks.Outputs {
	t.Helper()
	r, err := Command{
		Path: Program(env, "pulumi"), Env: env, Dir: dir,
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
