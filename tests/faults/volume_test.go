package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const measures = "prometheus"

// onNode runs a script where the node sees files; $1 and so on are args.
func onNode(ctx context.Context, t *testing.T, script string, args ...string) {
	t.Helper()
	record, err := rig.Instance{Name: os.Getenv(node)}.Record()
	require.NoError(t, err)
	require.Positive(t, record.PID)
	rig.Succeed(ctx, t, rig.Command{
		Path: "/usr/bin/nsenter",
		Args: append([]string{"--mount", "--pid", "--target", strconv.Itoa(record.PID), "/bin/sh", "-euc", script, "sh"}, args...),
		Env:  os.Environ(),
	})
}

// folderOf a claim's volume, as the node sees it.
func (p *Platform) folderOf(ctx context.Context, t *testing.T, namespace, claim string) string {
	t.Helper()
	volumes, err := p.list(ctx, kube.Volumes, "")
	require.NoError(t, err)
	for _, v := range volumes {
		if rig.Text(&v, "spec", "claimRef", "namespace") == namespace && rig.Text(&v, "spec", "claimRef", "name") == claim {
			return rig.Text(&v, "spec", "hostPath", "path") + rig.Text(&v, "spec", "local", "path")
		}
	}
	require.Failf(t, "no volume", "of claim %s/%s", namespace, claim)
	return ""
}

// again deletes Prometheus' pod and waits until another one is ready.
func (p *Platform) again(ctx context.Context, t *testing.T) {
	t.Helper()
	pods, err := p.podsOf(ctx, cost.Prometheus.Namespace, measures+"-")
	require.NoError(t, err)
	for _, pod := range pods {
		require.NoError(t, p.delete(ctx, kube.Pods, pod.GetNamespace(), pod.GetName()))
	}
	require.NoError(t, p.another(ctx, pods))
}

// another waits until Prometheus has a pod that is ready and none of these.
func (p *Platform) another(ctx context.Context, old []unstructured.Unstructured) error {
	before := map[string]bool{}
	for _, pod := range old {
		before[pod.GetName()] = true
	}
	return rig.Poll(ctx, 3*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		pods, err := p.podsOf(ctx, cost.Prometheus.Namespace, measures+"-")
		for _, pod := range pods {
			if !before[pod.GetName()] && kube.NotReady(&pod) == "" {
				return "", err
			}
		}
		return "Prometheus has no new pod that is ready", err
	})
}

// costs runs `cost` of the last minutes.
func (p *Platform) costs(ctx context.Context, t *testing.T) rig.Result {
	t.Helper()
	r, err := p.Command("cost", "--window", "10m").Run(ctx)
	require.NoError(t, err)
	return r
}

// awaitCosts waits until `cost` has figures.
func (p *Platform) awaitCosts(ctx context.Context, t *testing.T) string {
	t.Helper()
	var r rig.Result
	require.NoError(t, rig.Poll(ctx, 5*time.Minute, 2*time.Second, func(ctx context.Context) (string, error) {
		r = p.costs(ctx, t)
		return strings.TrimSpace(r.Stderr), nil
	}))
	return r.Stdout
}

// TestAFullVolumeIsSaidByEverybodyAndIsOverWhenThereIsSpace puts a small volume in the
// place of Prometheus' own and fills it.
func TestAFullVolumeIsSaidByEverybodyAndIsOverWhenThereIsSpace(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	folder := p.folderOf(ctx, t, cost.Prometheus.Namespace, measures)
	onNode(ctx, t, `mount -t tmpfs -o size=8m,mode=0777 fault-full "$1"`, folder)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*time.Minute)
		defer cancel()
		onNode(ctx, t, `umount --lazy "$1"`, folder)
		p.again(ctx, t)
	})
	p.again(ctx, t)
	p.awaitCosts(ctx, t)

	onNode(ctx, t, `dd if=/dev/zero of="$1/ballast" bs=64k count=200 2>/dev/null || true`, folder)
	start := time.Now()
	const said = "because Prometheus could not write to its volume"
	require.NoError(t, rig.Poll(ctx, 6*time.Minute, 2*time.Second, func(ctx context.Context) (string, error) {
		if r := p.costs(ctx, t); r.Code == 0 {
			return "costs are told that nobody measured", nil
		} else if !strings.Contains(r.Stderr, "nothing has been measured since") || !strings.Contains(r.Stderr, said) {
			return r.Stderr, nil
		} else {
			assert.Empty(t, r.Stdout, "a cost of less than it was")
			return "", nil
		}
	}))
	t.Logf("a full volume is said %s after it was full", time.Since(start).Round(time.Second))
	report, _ := p.Verify(ctx, t, "--only", "E2")
	require.Len(t, report.Checks, 1)
	assert.Equal(t, "fail", string(report.Checks[0].Status))
	assert.Contains(t, report.Checks[0].Evidence, said)
	doctor, err := p.Command("doctor").Run(ctx)
	require.NoError(t, err)
	assert.Contains(t, doctor.Stdout, "(nothing-measured)")
	assert.Contains(t, doctor.Stdout, said)
	top, err := p.Command("top", "--once").Run(ctx)
	require.NoError(t, err)
	assert.Contains(t, top.Stdout, said)

	onNode(ctx, t, `rm "$1/ballast"`, folder)
	start = time.Now()
	out := p.awaitCosts(ctx, t)
	t.Logf("it measures again %s after there was space, without a restart", time.Since(start).Round(time.Second))
	assert.Regexp(t, `for [0-9ms]+ of it nothing was measured`, out, "the gap is not told")
}

// TestAVolumeThatIsGoneIsMadeAgainAndItsTimeIsNotToldAsFree deletes Prometheus' claim.
func TestAVolumeThatIsGoneIsMadeAgainAndItsTimeIsNotToldAsFree(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	p.awaitCosts(ctx, t)
	before, err := p.get(ctx, kube.Claims, cost.Prometheus.Namespace, measures)
	require.NoError(t, err)
	require.NotNil(t, before)
	start := time.Now()
	require.NoError(t, p.delete(ctx, kube.Claims, cost.Prometheus.Namespace, measures))
	old, err := p.podsOf(ctx, cost.Prometheus.Namespace, measures+"-")
	require.NoError(t, err)
	for _, pod := range old {
		require.NoError(t, p.delete(ctx, kube.Pods, pod.GetNamespace(), pod.GetName()))
	}
	r := p.costs(ctx, t)
	assert.NotZero(t, r.Code, "without a Prometheus something costs nothing: %s", r.Stdout)
	t.Logf("cost says meanwhile: %s", strings.TrimSpace(r.Stderr))
	require.NoError(t, p.another(ctx, old))
	after, err := p.get(ctx, kube.Claims, cost.Prometheus.Namespace, measures)
	require.NoError(t, err)
	require.NotNil(t, after)
	assert.NotEqual(t, before.GetUID(), after.GetUID(), "the claim was never gone")
	t.Logf("Prometheus runs on a new volume after %s", time.Since(start).Round(time.Second))
	p.awaitCosts(ctx, t)
	t.Logf("costs are told again after %s", time.Since(start).Round(time.Second))
	r, err = p.Command("cost", "--window", "10m", "-o", "json").Run(ctx)
	require.NoError(t, err)
	var report showback.Report
	require.NoError(t, decode(r.Stdout, &report), "%s", r)
	assert.True(t, report.Start.After(start), "what was measured before is gone, and the report begins at %s", report.Start)
	assert.Positive(t, report.Total.Cost)
}

// TestATenantsSeriesAreNotTaken has a pod of a tenant answer like everything that is
// asked for figures, with ten thousand series.
func TestATenantsSeriesAreNotTaken(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	const name, series = "fault-series", 10000
	gateways, err := p.list(ctx, kube.Pods, "kourier-system")
	require.NoError(t, err)
	require.NotEmpty(t, gateways)
	labels := object{"owner": "fault", "cost-center": "fault"}
	for key, value := range gateways[0].GetLabels() {
		labels[key] = value
	}
	servers, err := p.podsOf(ctx, tenant, "demo-iris-2-predictor-")
	require.NoError(t, err)
	require.NotEmpty(t, servers)
	image := ""
	containers, _, err := unstructured.NestedSlice(servers[0].Object, "spec", "containers")
	require.NoError(t, err)
	for _, c := range containers {
		if c := c.(object); c["name"] == "kserve-container" {
			image, _ = c["image"].(string)
		}
	}
	require.NotEmpty(t, image)
	mend, err := p.create(ctx, kube.Pods, object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "namespace": tenant, "labels": labels, "annotations": object{
			"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/stats/prometheus",
		}},
		"spec": object{"terminationGracePeriodSeconds": int64(1), "containers": []any{object{
			"name": "c", "image": image, "imagePullPolicy": "IfNotPresent",
			"command": []any{"python3", "-c", fmt.Sprintf(`
import http.server
class Figures(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write("".join("fault_series{n=\"%%d\"} 1\n" %% n for n in range(%d)).encode())
http.server.HTTPServer(("", 9000), Figures).serve_forever()`, series)},
			"ports":           []any{object{"name": "http-metrics", "containerPort": int64(9000)}, object{"name": "metrics", "containerPort": int64(9001)}},
			"securityContext": object{"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": int64(1000), "capabilities": object{"drop": []any{"ALL"}}},
			"resources":       object{"requests": object{"cpu": "10m", "memory": "64Mi"}, "limits": object{"cpu": "200m", "memory": "128Mi"}},
		}}},
	})
	if mend != nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			assert.NoError(t, mend(ctx))
		})
	}
	require.NoError(t, err)
	head := func() float64 {
		found, err := p.samples(ctx, "prometheus_tsdb_head_series")
		require.NoError(t, err)
		require.Len(t, found, 1)
		return found[0].value
	}
	before := head()
	served := 0
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		body, err := p.cluster.Get(ctx, "/api/v1/namespaces/"+tenant+"/pods/"+name+":9000/proxy/metrics")
		if err != nil {
			return "the pod does not answer: " + err.Error(), nil
		}
		served = strings.Count(string(body), "fault_series{")
		return "", nil
	}))
	require.Equal(t, series, served, "nobody could have taken them")
	// Every job has asked twice since.
	began := float64(time.Now().Unix())
	require.NoError(t, rig.Poll(ctx, 4*time.Minute, 5*time.Second, func(ctx context.Context) (string, error) {
		late, err := p.samples(ctx, fmt.Sprintf("min by (job) (timestamp(up)) < %f", began+30))
		if err != nil || len(late) == 0 {
			return "", err
		}
		return fmt.Sprintf("%d jobs have not asked since", len(late)), nil
	}))
	taken, err := p.samples(ctx, `count({__name__="fault_series"})`)
	require.NoError(t, err)
	assert.Empty(t, taken)
	known, err := p.samples(ctx, `count({namespace="`+tenant+`",pod="`+name+`"})`)
	require.NoError(t, err)
	require.Len(t, known, 1, "the pod itself is not measured")
	assert.Less(t, known[0].value, 100.0, "what is measured of one pod")
	t.Logf("of %d series none is taken; %.0f are about the pod; Prometheus had %.0f and has %.0f", series, known[0].value, before, head())
}
