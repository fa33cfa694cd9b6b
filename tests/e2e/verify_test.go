package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
)

// platformProvesItself demands that everything verify asks holds, in time, and keeps
// what it said where CI finds it.
func (s *suite) platformProvesItself(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	before := s.contents(ctx, t, tenants)
	// Argo CD may be comparing one of the Applications just now, and costs are known
	// when something was measured for some minutes.
	r := run(ctx, t, s.command("verify", "--wait", "4m", "-o", "junit"))
	require.NoError(t, os.WriteFile(filepath.Join(s.checkout, "bin", "verify.xml"), []byte(r.Stdout), 0o644))
	require.Zero(t, r.Code, "%s", r)

	r = succeed(ctx, t, s.command("verify", "-o", "json"))
	var report check.Report
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report))
	for _, c := range report.Checks {
		t.Logf("%s %s %.1fs %s", c.ID, c.Status, c.Seconds, c.Evidence)
	}
	assert.Equal(t, check.IDs((&verify.Platform{}).Checks()), ids(report), "a check was not asked")
	assert.Zero(t, report.Skipped, "a part of the platform is not there")
	assert.Less(t, r.Took, verify.Whole)
	after := s.contents(ctx, t, tenants)
	// That it comes back is what is asked.
	delete(before, "deployments nginx-test")
	delete(after, "deployments nginx-test")
	assert.Equal(t, before, after, "something was left behind, or made anew")
}

func ids(r check.Report) []string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, c.ID)
	}
	return all
}
