package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// reachable are what every tenant's pod may connect to, beside its own pods: names
// of things that targets knows.
var reachable = []string{"kube-system/kube-dns:53", "kube-system/object-store:4443", "kourier-system/kourier-internal:80"}

// forEverybody are what takes connections from all pods, so that only a tenant's own
// rules keep its pods away; the last one they may reach.
var forEverybody = []string{
	"argocd/argocd-server:443", "forge/gitea:3000", "kyverno/kyverno-svc:443", "knative-serving/webhook:443",
	"kserve/kserve-webhook-server-service:443", "kourier-system/kourier-internal:80",
}

// target is an address, HOST:PORT, and what it is.
type target struct{ name, address string }

// targets are everything of the platform and of the cluster that listens: all
// Services but the tenants', and the node itself.
func (s *suite) targets(ctx context.Context, t *testing.T) []target {
	t.Helper()
	services, err := s.cluster.List(ctx, kube.Services, "")
	require.NoError(t, err)
	var found []target
	for i := range services {
		o := &services[i]
		namespace, ip := o.GetNamespace(), rig.Text(o, "spec", "clusterIP")
		if ip == "None" || ip == "" || (namespace == tenants || namespace == other) && o.GetName() != "kubernetes" {
			continue
		}
		ports, _, err := unstructured.NestedSlice(o.Object, "spec", "ports")
		require.NoError(t, err)
		for _, p := range ports {
			port := p.(map[string]any)
			if port["protocol"] == "TCP" {
				found = append(found, target{
					fmt.Sprintf("%s/%s:%d", namespace, o.GetName(), port["port"]), fmt.Sprintf("%s:%d", ip, port["port"]),
				})
			}
		}
	}
	gateway, err := url.Parse(s.outputs.GatewayURL)
	require.NoError(t, err)
	for name, port := range map[string]string{
		"API server": "6443", "kubelet": "10250", "registry": "5001", "gateway's node port": gateway.Port(),
		"forge's node port": portOf(t, s.outputs.ForgeURL), "Argo CD's node port": portOf(t, s.outputs.ArgoCDURL),
	} {
		found = append(found, target{"node: " + name, net.JoinHostPort(gateway.Hostname(), port)})
	}
	return found
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Port()
}

// podsOf are the addresses at which a tenant's pods serve.
func (s *suite) podsOf(ctx context.Context, t *testing.T, namespace string) []target {
	t.Helper()
	pods, err := s.cluster.List(ctx, kube.Pods, namespace)
	require.NoError(t, err)
	var found []target
	for i := range pods {
		p := &pods[i]
		if rig.Text(p, "status", "phase") != "Running" || p.GetDeletionTimestamp() != nil {
			continue
		}
		for _, port := range []int{80, 8012, 8080, 9091} {
			found = append(found, target{
				fmt.Sprintf("%s/%s:%d", namespace, p.GetName(), port), fmt.Sprintf("%s:%d", rig.Text(p, "status", "podIP"), port),
			})
		}
	}
	return found
}

// reaches are the names of the targets that a container connects to.
func (s *suite) reaches(ctx context.Context, t *testing.T, namespace, pod, container string, list []target) []string {
	t.Helper()
	const script = `for t in "$@"; do timeout 3 bash -c "exec 3<>/dev/tcp/${t%:*}/${t##*:}" 2>/dev/null && echo "$t"; done; echo end`
	args := []string{"exec", "-n", namespace, pod, "-c", container, "--", "bash", "-c", script, "bash"}
	for _, each := range list {
		args = append(args, each.address)
	}
	lines := strings.Fields(succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: args}).Stdout)
	require.Equal(t, "end", lines[len(lines)-1])
	var names []string
	for _, each := range list {
		if slices.Contains(lines, each.address) {
			names = append(names, each.name)
		}
	}
	return names
}

// imageOf is what the containers of this name in a namespace are made of.
func (s *suite) imageOf(ctx context.Context, t *testing.T, namespace, container string) string {
	t.Helper()
	pods, err := s.cluster.List(ctx, kube.Pods, namespace)
	require.NoError(t, err)
	for i := range pods {
		containers, _, err := unstructured.NestedSlice(pods[i].Object, "spec", "containers")
		require.NoError(t, err)
		for _, each := range containers {
			if c := each.(map[string]any); c["name"] == container {
				return c["image"].(string)
			}
		}
	}
	require.Fail(t, "no pod of "+namespace+" has a container "+container)
	return ""
}

// hammered are the names of the targets that a pod connects to in its first 5 s, in
// which it tries each every 10 ms or so from its first moment.
func (s *suite) hammered(ctx context.Context, t *testing.T, namespace, image string, list []target) []string {
	t.Helper()
	const name = "hammer"
	const script = `begun=$SECONDS waiting=()
for ((i = 0; SECONDS - begun < 5; i++)); do
  for t in "$@"; do
    (exec 3<>/dev/tcp/${t%:*}/${t##*:} && echo reached $t) 2>/dev/null &
    waiting+=($!)
  done
  while ((${#waiting[@]} > 60)); do kill ${waiting[0]} 2>/dev/null; waiting=(${waiting[@]:1}); done
  sleep 0.01
done
echo $i`
	args := []any{script, "bash"}
	for _, each := range list {
		args = append(args, each.address)
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"owner": name, "cost-center": name}},
		"spec": map[string]any{"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": []any{map[string]any{
			"name": name, "image": image, "command": []any{"bash", "-c"}, "args": args,
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "20m", "memory": "64Mi"},
				"limits":   map[string]any{"cpu": "1", "memory": "128Mi"},
			},
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": 101, "allowPrivilegeEscalation": false},
		}}},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	kubectl := func(args ...string) string {
		return succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: append(args, "-n", namespace)}).Stdout
	}
	kubectl("apply", "-f", file)
	kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/"+name, "--timeout=60s")
	lines := strings.Split(strings.TrimSpace(kubectl("logs", name)), "\n")
	require.NoError(t, s.cluster.Delete(ctx, kube.Pods, namespace, name))
	tries, err := strconv.Atoi(lines[len(lines)-1])
	require.NoError(t, err, "%s", lines)
	assert.Greater(t, tries, 50, "so few tries tell nothing of a moment")
	var names []string
	for _, each := range list {
		if slices.Contains(lines, "reached "+each.address) {
			names = append(names, each.name)
		}
	}
	return names
}

// networksAreApart tries every door there is from a pod of each tenant's.
func (s *suite) networksAreApart(ctx context.Context, t *testing.T) {
	all := s.targets(ctx, t)
	for _, name := range []string{"argocd/argocd-redis:6379", "argocd/argocd-repo-server:8081", "forge/gitea:3000", tenants + "/kubernetes:443"} {
		require.True(t, slices.ContainsFunc(all, func(each target) bool { return each.name == name }), "there is no %s to try", name)
	}
	pod, _ := s.runningPod(ctx, t)
	for _, from := range []struct{ namespace, pod, container, another string }{
		{other, "pod/" + pod, "kserve-container", tenants},
		{tenants, "deployment/nginx-test", "nginx", other},
	} {
		t.Run("from "+from.namespace, func(t *testing.T) {
			start := time.Now()
			theirs := s.podsOf(ctx, t, from.another)
			require.NotEmpty(t, theirs)
			assert.ElementsMatch(t, reachable, s.reaches(ctx, t, from.namespace, from.pod, from.container, all))
			assert.Empty(t, s.reaches(ctx, t, from.namespace, from.pod, from.container, theirs), "another tenant's pods")
			assert.NotEmpty(t, s.reaches(ctx, t, from.namespace, from.pod, from.container, s.podsOf(ctx, t, from.namespace)), "nothing was tried")
			open := slices.DeleteFunc(slices.Clone(all), func(each target) bool { return !slices.Contains(forEverybody, each.name) })
			require.Len(t, open, len(forEverybody))
			assert.Equal(t, reachable[2:], s.hammered(ctx, t, from.namespace, s.imageOf(ctx, t, from.namespace, from.container), append(open, theirs[0])), "a new pod does not wait for its own rules")
			t.Logf("%d addresses tried in %s", len(all)+len(theirs), time.Since(start).Round(time.Second))
		})
	}
}
