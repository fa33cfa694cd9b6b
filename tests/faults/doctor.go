package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/doctor"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

var (
	pods = kube.Pods
)

// Disease is one way to break a platform that the doctor has a name for.
type Disease struct {
	// Name is a sentence, Detector the only one that finds something.
	Name, Detector string
	// ByHand is that --fix does nothing about it: the mend is what people do.
	ByHand bool
	// Break does it. What it did before an error is for Mend, too.
	Break func(context.Context, *Platform) (Mend, error)
}

// Diseases, one for each detector that can be made to find something on a sealed node.
var Diseases = []Disease{
	{"the repo-server hangs", "argocd-repo-server", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, argocd, "argocd-repo-server-")
	}},
	{"the application controller hangs", "argocd-application-controller", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, argocd, "argocd-application-controller-")
	}},
	{"the ApplicationSet controller hangs", "argocd-applicationset-controller", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, argocd, "argocd-applicationset-controller-")
	}},
	{"Argo CD's cache has no pod", "argocd-redis", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.scaleToZero(ctx, argocd, "argocd-redis")
	}},
	{"the forge has no pod", "forge-down", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.scaleToZero(ctx, "forge", "gitea")
	}},
	{"the password of Argo CD's account is another", "forge-credentials", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return nil, p.forge(ctx, http.MethodPatch, "/admin/users/argocd", object{"source_id": 0, "login_name": "argocd", "password": "Another-1-Password", "must_change_password": false})
	}},
	{"the guard's hook is switched off", "forge-hook", false, deafGuard},
	{"the portal's Secret is gone", "portal-secret", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return nil, p.delete(ctx, kube.Secrets, "portal", "forge-client")
	}},
	{"a layer is paused and its policy deleted", "layer-paused", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "policies", func(ctx context.Context) error {
			return p.delete(ctx, kube.KyvernoPolicies, "", "require-cluster-ip-services")
		})
	}},
	{"KServe is configured for Istio, and its layer paused", "layer-paused", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "kserve", func(ctx context.Context) error {
			return p.patch(ctx, kube.ConfigMaps, "kserve", "inferenceservice-config", `{"data":{"ingress":"{\"ingressGateway\":\"knative-serving/knative-ingress-gateway\",\"ingressClassName\":\"istio\"}"}}`)
		})
	}},
	{"KServe's controller, a webhook's server, hangs", "serving-down", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "kserve", "kserve-controller-manager-")
	}},
	{"Kyverno hangs", "kyverno-down", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "kyverno", "kyverno-admission-controller-")
	}},
	{"OpenCost has no Prometheus that answers", "prometheus-down", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "prometheus-system", "prometheus-")
	}},
	{"the portal hangs", "portal-down", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "portal", "portal-")
	}},
	{"cluster DNS does not answer", "cluster-dns", false, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "kube-system", "coredns-")
	}},
	{"a killed run's lock stays", "state-locked", false, leaveLock},

	{"a quota takes the guard its pod", "quota-exhausted", true, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "guard", "guard-")
	}},
	{"an image cannot be pulled", "image-not-pulled", true, func(ctx context.Context, p *Platform) (Mend, error) {
		mend, err := p.create(ctx, pods, object{
			"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "fault-unpulled", "namespace": tenant, "labels": object{"owner": "fault", "cost-center": "fault"}},
			"spec": object{"containers": []any{object{
				"name": "c", "image": "registry.example/none:1",
				"securityContext": object{"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": int64(1000)},
				"resources":       object{"requests": object{"cpu": "10m", "memory": "32Mi"}, "limits": object{"cpu": "10m", "memory": "32Mi"}},
			}}},
		})
		return mend, err
	}},
	{"a webhook that blocks has no server", "webhook-unanswered", true, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.create(ctx, kube.ValidatingWebhooks, object{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": object{"name": "fault-unanswered"},
			"webhooks": []any{object{
				"name": "unanswered.fault.example", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": []any{"v1"},
				"clientConfig": object{"service": object{"namespace": tenant, "name": "nobody"}},
				"rules":        []any{object{"apiGroups": []any{"fault.example"}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"things"}}},
			}},
		})
	}},
	{"a namespace does not go", "namespace-stuck", true, stuckNamespace},
	{"a manifest is merged that a policy refuses", "folder-not-synced", true, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.merge(ctx, "fault-refused", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fault-refused"},"spec":{"selector":{"matchLabels":{"a":"b"}},
			"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"registry.example/c:latest"}]}}}}`,
			p.awaitApplication("fault-refused", "operationState"))
	}},
	{"an endpoint's model is not there", "endpoint-not-ready", true, badEndpoint},
	{"a node is closed", "node-not-ready", true, func(ctx context.Context, p *Platform) (Mend, error) {
		list, err := p.list(ctx, kube.Nodes, "")
		if err != nil {
			return nil, err
		}
		return p.change(ctx, kube.Nodes, "", list[0].GetName(), `{"spec":{"unschedulable":true}}`)
	}},
}

// leaveLock writes the lock of a process that has ended.
func leaveLock(ctx context.Context, p *Platform) (Mend, error) {
	ended := exec.CommandContext(ctx, "true")
	if err := ended.Run(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	backend := rig.Lookup(p.Command("version").Env, "PULUMI_BACKEND_URL")
	folder := filepath.Join(strings.TrimPrefix(backend, "file://"), ".pulumi", "locks", "organization", "neuroscale", "ci")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "fault.json")
	text := fmt.Appendf(nil, `{"pid":%d,"username":"root","hostname":%q,"timestamp":%q}`, ended.Process.Pid, host, time.Now().Format(time.RFC3339))
	mend := func(context.Context) error {
		err := os.Remove(file)
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	return mend, os.WriteFile(file, text, 0o600)
}

// stuckNamespace deletes a namespace with something in it that nobody lets go.
func stuckNamespace(ctx context.Context, p *Platform) (Mend, error) {
	const name = "fault-stuck"
	if _, err := p.create(ctx, namespaces, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": name}}); err != nil {
		return nil, err
	}
	mend := func(ctx context.Context) error {
		if err := p.patch(ctx, kube.ConfigMaps, name, "held", `{"metadata":{"finalizers":null}}`); err != nil {
			return err
		}
		return rig.Poll(ctx, time.Minute, time.Second, func(ctx context.Context) (string, error) {
			o, err := p.get(ctx, namespaces, "", name)
			if o == nil {
				return "", err
			}
			return "the namespace is still there", err
		})
	}
	_, err := p.create(ctx, kube.ConfigMaps, object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "held", "namespace": name, "finalizers": []any{"fault.example/held"}}})
	if err != nil {
		return mend, err
	}
	return mend, p.delete(ctx, namespaces, "", name)
}

// Diagnose has the doctor look, or repair with --fix.
func (p *Platform) Diagnose(ctx context.Context, t *testing.T, args ...string) (*doctor.Report, time.Duration) {
	t.Helper()
	r, err := p.Command("doctor", append([]string{"-o", "json"}, args...)...).Run(ctx)
	require.NoError(t, err)
	var report doctor.Report
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report), "%s", r)
	require.Equal(t, report.Well, r.Code == 0, "%s", r)
	return &report, r.Took
}

// named are the detectors whose findings are causes.
func named(r *doctor.Report) []string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Detector)
	}
	for _, b := range r.Blind {
		all = append(all, "blind: "+b.Detector+": "+b.Why)
	}
	return slices.Compact(all)
}

// Cure breaks the platform, demands that the doctor names that and nothing else, and
// has it repaired: by --fix, or as people do. All is well after that.
func (p *Platform) Cure(t *testing.T, d Disease) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	mend, err := d.Break(ctx, p)
	healed := false
	t.Cleanup(func() {
		if mend != nil && !healed {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
			defer cancel()
			_ = mend(ctx)
		}
	})
	require.NoError(t, err)
	start := time.Now()
	var report *doctor.Report
	require.NoError(t, rig.Poll(ctx, 4*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		var took time.Duration
		report, took = p.Diagnose(ctx, t)
		if took > 20*time.Second {
			return "", fmt.Errorf("the doctor took %s", took)
		}
		if got := named(report); !slices.Equal(got, []string{d.Detector}) {
			return fmt.Sprintf("it names %v", got), nil
		}
		return "", nil
	}))
	known := time.Since(start)
	t.Logf("named after %s, in a look of %.1fs: %s; it explains %q", known.Round(time.Second), report.Seconds, report.Findings[0].Says, report.Findings[0].Explains)
	start = time.Now()
	if d.ByHand {
		require.Empty(t, report.Findings[0].Repair, "it says that --fix repairs it")
		require.NoError(t, mend(ctx))
	} else {
		report, _ = p.Diagnose(ctx, t, "--fix")
		require.True(t, report.Well, "%+v", report)
		require.NotEmpty(t, report.Repairs)
		for _, r := range report.Repairs {
			require.Empty(t, r.Error, "%s", r.Did)
		}
		t.Logf("--fix: %+v", report.Repairs)
	}
	healed = true
	recovered := time.Since(start)
	p.AwaitWell(t, nil)
	report, _ = p.Diagnose(ctx, t)
	require.Empty(t, named(report))
	t.Logf("%-60s named %5.0fs  repaired %5.0fs", d.Name, known.Seconds(), recovered.Seconds())
}
