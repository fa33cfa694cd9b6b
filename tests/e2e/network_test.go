package e2e

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// reachable are what every tenant's pod may connect to, beside its own pods: names
// of things that targets knows.
var reachable = []string{"kube-system/kube-dns:53", "kube-system/object-store:4443", "kourier-system/kourier-internal:80"}

// target is an address, HOST:PORT, and what it is.
type target struct{ name, address string }

// targets are everything of the platform and of the cluster that listens: all
// Services but the tenants', and the node itself.
func (s *suite) targets(ctx context.Context, t *testing.T) []target {
	t.Helper()
	services, err := s.cluster.List(ctx, rig.Services, "")
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
	pods, err := s.cluster.List(ctx, rig.Pods, namespace)
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
			t.Logf("%d addresses tried in %s", len(all)+len(theirs), time.Since(start).Round(time.Second))
		})
	}
}
