package e2e

import (
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/golden"
)

// pictures is the variable with the folder that `make pictures` wants them in.
const pictures = "NEUROSCALE_PICTURES"

// personAsks has somebody sit at a browser, from signing in to the endpoint's page.
func (s *suite) personAsks(t *testing.T) {
	if _, err := golden.Program(); err != nil && os.Getenv("CI") == "" && os.Getenv(pictures) == "" {
		t.Skip(err)
	}
	ctx := within(t, 6*time.Minute)
	const name = "browser-iris"
	by := s.member(t, scientist)
	b, err := golden.Start(ctx, s.outputs.Authority, os.Getenv(pictures), s.outputs.PortalURL, s.outputs.ForgeURL)
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, b.SignIn(s.outputs.PortalURL, by.name, by.password))
	start := time.Now()
	pull, err := b.Propose(s.outputs.PortalURL, "Not_A_Name", golden.Wish{Name: name, StorageURI: "gs://kfserving-examples/models/sklearn/1.0/model"})
	require.NoError(t, err)
	t.Logf("typing and submitting took %s", time.Since(start).Round(100*time.Millisecond))
	require.True(t, strings.HasPrefix(pull, s.outputs.ForgeURL), "%s is not at the forge", pull)
	number, err := strconv.Atoi(path.Base(pull))
	require.NoError(t, err)
	require.NoError(t, b.Look(pull, "All checks were successful", ""))
	s.mergePull(ctx, t, by, s.examples(), number)
	s.awaitAnswer(ctx, t, name, strings.Replace(s.hostOf(t, example), example, name, 1))
	require.NoError(t, b.Look(pull, "it answers.", "pull-request"))
	page := s.outputs.PortalURL + "/catalog/default/component/" + name
	require.NoError(t, b.Look(page, "as Git says, well", ""))
	require.NoError(t, b.Try("endpoint"))
	at, end := s.forwarded(ctx, t, "dashboards")
	defer end()
	require.NoError(t, b.Plots(at+"/endpoints?range=15m", "dashboards"))
	require.NoError(t, b.Plots(at+"/platform?range=15m", ""))
	unmerge(ctx, t, s.clone(ctx, t, s.outputs.Repository, s.administrator()), name)
}
