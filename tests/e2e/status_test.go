package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// statusIsWell demands that a platform that is up is said to be well, soon enough.
func (s *suite) statusIsWell(t *testing.T) {
	const limit = 2 * time.Second
	ctx := within(t, 2*time.Minute)
	// Argo CD may be comparing one of the Applications just now, and a machine that has
	// just brought up a platform is busy for a while.
	var r rig.Result
	require.NoError(t, rig.Poll(ctx, time.Minute, time.Second, func(ctx context.Context) (string, error) {
		var err error
		switch r, err = s.command("status").Run(ctx); {
		case err != nil || r.Code != 0:
			return r.String(), err
		case r.Took >= limit:
			return "status takes " + r.Took.String(), nil
		}
		return "", nil
	}))
	t.Logf("it said after %s:\n%s", r.Took.Round(time.Millisecond), r.Stdout)
	for _, name := range append(layers(t).Names(), example, "stack "+stack+" is well") {
		assert.Contains(t, r.Stdout, name)
	}
	r = succeed(ctx, t, s.command("endpoints", example))
	assert.Contains(t, r.Stdout, example+" of tenant "+tenants+" is ready")
}

// requireStatusNames demands that status fails and says that a layer is not well.
func (s *suite) requireStatusNames(ctx context.Context, t *testing.T, layer string) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, 30*time.Second, time.Second, func(ctx context.Context) (string, error) {
		r, err := s.command("status", "-o", "json").Run(ctx)
		if err != nil {
			return "", err
		}
		if r.Code == 0 {
			return "status says that all is well", nil
		}
		var report status.Report
		decode(t, r.Stdout, &report)
		for _, sentence := range report.Next {
			if strings.HasPrefix(sentence, "layer "+layer+" ") {
				t.Logf("after %s: %s", r.Took.Round(time.Millisecond), sentence)
				return "", nil
			}
		}
		return "status does not name layer " + layer + ": " + strings.Join(report.Next, "; "), nil
	}))
}
