// Package faults breaks a platform that runs, each time in one way, so that tests can
// say who notices. It is given a sealed node of theirs, and mends what it broke.
package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// Platform is what is broken.
type Platform struct {
	// Outputs of its stack.
	Outputs *stacks.Outputs
	// Command calls neuroscale for it.
	Command func(verb string, more ...string) rig.Command
	cluster *kube.Cluster
	objects dynamic.Interface
}

// New is a platform on the cluster of a kubeconfig file.
func New(kubeconfig string, outputs *stacks.Outputs, command func(string, ...string) rig.Command) (*Platform, error) {
	c, err := kube.Connect(kube.Source{Path: kubeconfig})
	if err != nil {
		return nil, err
	}
	return &Platform{Outputs: outputs, Command: command, cluster: c, objects: c.Dynamic}, nil
}

// Mend undoes a fault.
type Mend func(context.Context) error

// Fault is one way to break a platform.
type Fault struct {
	// Name is a sentence.
	Name string
	// Fails are the checks that notice, with words of what they say; what follows from
	// one of them may fail, too.
	Fails map[string]string
	// Also are checks that notice in the end, such as that what hangs is not ready.
	Also []string
	// Batch is the number of those that are looked at together, to save time: none of
	// them hides another.
	Batch int
	// Break does it and returns when it can be noticed. What it did before an error
	// is for Mend, too.
	Break func(context.Context, *Platform) (Mend, error)
}

// Verify asks the platform for these checks, or all.
func (p *Platform) Verify(ctx context.Context, t *testing.T, args ...string) (*check.Report, time.Duration) {
	t.Helper()
	r, err := p.Command("verify", append([]string{"-o", "json"}, args...)...).Run(ctx)
	require.NoError(t, err)
	var report check.Report
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report), "%s", r)
	assert.Equal(t, report.Well, r.Code == 0, "%s", r)
	return &report, r.Took
}

// Check breaks the platform by faults at once and demands that verify sees each of
// them, and fails nothing that does not follow from one. It is mended after.
func (p *Platform) Check(t *testing.T, list ...Fault) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	start := time.Now()
	for _, f := range list {
		mend, err := f.Break(ctx, p)
		if mend != nil {
			t.Cleanup(func() {
				// The test's context has ended by now.
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
				defer cancel()
				assert.NoError(t, mend(ctx), "mend: %s", f.Name)
			})
		}
		require.NoError(t, err, f.Name)
	}
	broken := time.Since(start)
	report, took := p.Verify(ctx, t)
	t.Logf("%d broken in %s, verify took %s, and %d failed: %v", len(list), broken.Round(time.Second), took.Round(100*time.Millisecond), report.Failed, report.Failures())
	assert.Less(t, took, verify.Whole+2*time.Second)
	wrong := unlike(report, list)
	if len(wrong) > 0 {
		// On a machine that has much else to do, a check is late for no other reason.
		var again []string
		for id, why := range wrong {
			t.Logf("asked once more, as %s", why)
			again = append(again, "--only", id)
		}
		second, _ := p.Verify(ctx, t, again...)
		still := unlike(second, list)
		maps.DeleteFunc(wrong, func(id, _ string) bool { return still[id] == "" })
	}
	for id, why := range wrong {
		t.Errorf("%s: %s", id, why)
	}
}

// unlike are the checks of a report whose result is not what faults have to make of
// it, and why.
func unlike(report *check.Report, list []Fault) map[string]string {
	wrong := map[string]string{}
	var noticing, also []string
	for _, f := range list {
		also = append(also, f.Also...)
		for id, says := range f.Fails {
			noticing = append(noticing, id)
			r, asked := report.Get(id)
			if asked && (r.Status != check.Fail || !strings.Contains(r.Evidence, says)) {
				wrong[id] = fmt.Sprintf("%s did not notice that %s (%q): %s %s", id, f.Name, says, r.Status, r.Evidence)
			}
		}
	}
	may := following(slices.Concat(noticing, also))
	for _, id := range report.Failures() {
		if r, _ := report.Get(id); !slices.Contains(may, id) {
			wrong[id] = fmt.Sprintf("%s failed, and nothing of what it is about was broken: %s", id, r.Evidence)
		}
	}
	return wrong
}

// AwaitWell waits until these checks pass; none means all.
func (p *Platform) AwaitWell(t *testing.T, only []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*time.Minute)
	defer cancel()
	args := []string{"--wait", "3m"}
	for _, id := range only {
		args = append(args, "--only", id)
	}
	report, took := p.Verify(ctx, t, args...)
	t.Logf("well again after %s", took.Round(time.Second))
	require.True(t, report.Well, "it is not well again: %v", report.Failures())
}

// following are checks and all that follow from them.
func following(ids []string) []string {
	all := slices.Clone(ids)
	checks := (&verify.Platform{}).Checks()
	for grown := true; grown; {
		grown = false
		for _, c := range checks {
			if !slices.Contains(all, c.ID) && slices.ContainsFunc(c.Follows, func(id string) bool { return slices.Contains(all, id) }) {
				all, grown = append(all, c.ID), true
			}
		}
	}
	return all
}

// noticed are all checks that a fault of the table makes fail.
func noticed() []string {
	var all []string
	for _, f := range All {
		all = slices.AppendSeq(all, maps.Keys(f.Fails))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Run checks all faults, batch by batch.
func (p *Platform) Run(t *testing.T) {
	for batch := 1; ; batch++ {
		var list []Fault
		var fails []string
		for _, f := range All {
			if f.Batch == batch {
				list, fails = append(list, f), slices.AppendSeq(append(fails, f.Also...), maps.Keys(f.Fails))
			}
		}
		if len(list) == 0 {
			return
		}
		t.Run(fmt.Sprintf("batch %d", batch), func(t *testing.T) { p.Check(t, list...) })
		p.AwaitWell(t, following(fails))
	}
}
