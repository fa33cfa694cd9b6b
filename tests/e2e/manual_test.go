package e2e

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/manual"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// askpass answers git as a person would who reads what the stack says.
const askpass = `#!/bin/sh
case $1 in Username*) echo "$FORGE_USER" ;; *) echo "$FORGE_PASSWORD" ;; esac
`

// firstTenMinutes types what the README tells a newcomer to type, in its order.
// What brings the platform up and takes it down is left out: this one is up.
func (s *suite) firstTenMinutes(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	m, err := manual.Read(s.checkout)
	require.NoError(t, err)
	dir := t.TempDir()
	checkout := filepath.Join(dir, "checkout")
	require.NoError(t, os.Mkdir(checkout, 0o755))
	_, err = rig.CopyProject(s.checkout, checkout)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Dir(s.neuroscale), filepath.Join(checkout, "bin")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "askpass"), []byte(askpass), 0o700))
	reader := s.member(t, scientist)
	forge, err := url.Parse(s.outputs.ForgeURL)
	require.NoError(t, err)
	script := func(text string) rig.Command {
		return with(rig.Command{
			// It would win over what a clone is told to trust.
			Path: "bash", Args: []string{"-euo", "pipefail", "-c", "unset GIT_SSL_CAINFO\n" + strings.ReplaceAll(text, "10.88.0.2", forge.Hostname())},
			Dir: checkout, Env: s.env,
		}, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_ASKPASS="+filepath.Join(dir, "askpass"),
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.proxy", "GIT_CONFIG_VALUE_0=",
			"FORGE_USER="+reader.name, "FORGE_PASSWORD="+reader.password)
	}
	typed := 0
	for _, b := range m.Blocks {
		commands, err := manual.Commands(b.At, b.Text)
		if b.Section != "The first ten minutes" || slices.ContainsFunc(commands, func(c manual.Command) bool { return c.Program() == "make" }) {
			continue
		}
		require.NoError(t, err)
		typed++
		r := run(ctx, t, script(b.Text))
		if b.Kind == manual.ShellRefused {
			assert.NotZero(t, r.Code, "%s was not refused: %s", b.At, r)
			assert.Contains(t, r.Stdout+r.Stderr, b.Of, b.At)
		} else {
			require.Zero(t, r.Code, "%s: %s", b.At, r)
		}
	}
	assert.Equal(t, 5, typed, "predict, add, two refusals, heal")

	unmerge(ctx, t, s.clone(ctx, t, s.outputs.Repository, s.administrator()), "my-iris")
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, "my-iris")
		if err != nil || service != nil {
			return "the InferenceService is still there", err
		}
		return "", nil
	}))
}
