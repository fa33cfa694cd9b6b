package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/cost"
	prices "github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// What is billed: it asks for so much, uses less, and runs for long enough.
const (
	billed      = "billed"
	billedOwner = "billed-people"
	billedCores = 0.02
	billedMiB   = 64

	// billedWindow is the least that may be asked for, and longer than what
	// OpenCost and a new pod take until they are measured.
	billedWindow = 5 * time.Minute
	// accuracy is how exact a bill has to be.
	accuracy = 0.02
)

// costsAreMeasured has something run that is billed by a later step.
func (s *suite) costsAreMeasured(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	image := strings.TrimSpace(succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
		"get", "deployment", "-n", tenants, "nginx-test", "-o", "jsonpath={.spec.template.spec.containers[0].image}",
	}}).Stdout)
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": billed, "labels": map[string]any{"owner": billedOwner, "cost-center": "billed"}},
		"spec": map[string]any{"containers": []any{map[string]any{
			"name": billed, "image": image, "command": []any{"sleep", "infinity"},
			"resources": map[string]any{
				"requests": map[string]any{"cpu": fmt.Sprint(billedCores), "memory": fmt.Sprintf("%dMi", billedMiB)},
				"limits":   map[string]any{"cpu": "100m", "memory": fmt.Sprintf("%dMi", billedMiB)},
			},
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": 101, "allowPrivilegeEscalation": false},
		}}, "terminationGracePeriodSeconds": 0},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{"apply", "-n", tenants, "-f", file}})
}

// costs are those of billedWindow.
func (s *suite) costs(ctx context.Context, t *testing.T, by showback.By) showback.Report {
	t.Helper()
	r := succeed(ctx, t, s.command("cost", "--by", string(by), "--window", billedWindow.String(), "-o", "json"))
	var report showback.Report
	decode(t, r.Stdout, &report)
	return report
}

// rowOf a report; its name is empty if there is none.
func rowOf(r showback.Report, name string) showback.Row {
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	return showback.Row{}
}

// costsAreBilled compares a bill with arithmetic, and each sum with its parts.
func (s *suite) costsAreBilled(t *testing.T) {
	ctx := within(t, 15*time.Minute)
	s.costsAreMeasured(t)
	var began time.Time
	require.NoError(t, rig.Poll(ctx, billedWindow+3*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		pod, err := s.cluster.Get(ctx, kube.Pods, tenants, billed)
		if err != nil || pod == nil {
			return "there is no pod " + billed, err
		}
		if began, err = time.Parse(time.RFC3339, rig.Text(pod, "status", "startTime")); err != nil {
			return "it has not started", nil
		}
		// One measurement more: before it nobody knew of the pod.
		if age := time.Since(began); age < billedWindow+time.Minute {
			return fmt.Sprintf("it has run for %s only", age.Round(time.Second)), nil
		}
		return "", nil
	}))

	report := s.costs(ctx, t, showback.ByOwner)
	price, err := prices.DefaultPrices()
	require.NoError(t, err)
	hours := report.End.Sub(report.Start).Hours()
	row := rowOf(report, billedOwner)
	cpu, memory := billedCores*price.CPU.OnDemand*hours, billedMiB/1024.0*price.Memory.OnDemand*hours
	t.Logf("%s in %s: CPU %.9f, by arithmetic %.9f; memory %.9f, by arithmetic %.9f", billed, report.End.Sub(report.Start), row.CPU, cpu, row.Memory, memory)
	assert.InEpsilon(t, cpu, row.CPU, accuracy)
	assert.InEpsilon(t, memory, row.Memory, accuracy)
	assert.InEpsilon(t, (cpu+memory)/hours*price.HoursPerMonth, row.Monthly, accuracy)
	assert.InDelta(t, 1, report.Measured, 0.15)

	for _, by := range showback.Bys {
		r := s.costs(ctx, t, by)
		sum := 0.0
		for _, row := range r.Rows {
			sum += row.Cost
		}
		assert.InDelta(t, r.Tenants.Cost, sum, 1e-9, "by %s", by)
		assert.InDelta(t, r.Total.Cost, sum+r.Platform.Cost+r.Idle.Cost, 1e-9, "by %s", by)
		assert.Positive(t, r.Platform.Cost, "the platform costs something, too")
		if by != showback.ByEndpoint {
			assert.Empty(t, rowOf(r, showback.Unattributed).Name, "by %s: something runs for nobody", by)
		}
	}
	assert.Positive(t, rowOf(s.costs(ctx, t, showback.ByEndpoint), tenants+"/"+example).Cost)
	text := succeed(ctx, t, s.command("cost", "--window", billedWindow.String()))
	t.Logf("it said after %s:\n%s", text.Took.Round(time.Millisecond), text.Stdout)
	assert.Contains(t, text.Stdout, billedOwner)

	t.Run("without OpenCost or Prometheus that is an error and no zero", func(t *testing.T) { s.nobodyBills(ctx, t) })
	require.NoError(t, s.cluster.Delete(ctx, kube.Pods, tenants, billed))
}

// nobodyBills kills what measures and what prices, one after the other.
func (s *suite) nobodyBills(ctx context.Context, t *testing.T) {
	for _, f := range []struct{ namespace, asks string }{
		{cost.OpenCost.Namespace, "ask OpenCost"},
		{cost.Prometheus.Namespace, "ask Prometheus"},
	} {
		pods, err := s.cluster.List(ctx, kube.Pods, f.namespace)
		require.NoError(t, err)
		require.Len(t, pods, 1)
		processes, err := rig.ProcessesOf(pods)
		require.NoError(t, err)
		require.NotEmpty(t, processes)
		for _, p := range processes {
			require.NoError(t, p.Kill())
		}
		killed := time.Now()
		// It may be back before it is missed; then there is nothing wrong to say.
		r := run(ctx, t, s.command("cost", "--window", billedWindow.String()))
		if r.Code != 0 {
			assert.Empty(t, r.Stdout, "a cost of nothing")
			assert.Contains(t, r.Stderr, f.asks)
		}
		require.NoError(t, rig.Poll(ctx, 2*time.Minute, time.Second, func(ctx context.Context) (string, error) {
			r, err := s.command("cost", "--window", billedWindow.String(), "-o", "json").Run(ctx)
			if err != nil || r.Code != 0 {
				return r.String(), err
			}
			return "", nil
		}))
		report := s.costs(ctx, t, showback.ByOwner)
		t.Logf("%s: costs are known again %s after it was killed, of the time measured: %.0f %%", f.namespace, time.Since(killed).Round(time.Second), 100*report.Measured)
		assert.Positive(t, rowOf(report, billedOwner).Cost, "what was measured before went with it")
	}
}
