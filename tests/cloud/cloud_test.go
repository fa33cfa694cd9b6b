// Package cloud brings a stack of the shape that Pulumi.cloud.example.yaml has up on a
// sealed node, with the real command line: two tenants, names and an authority of its
// own, a load balancer before the gateway, images from a registry of its own, and two
// pods of what may not be away. What a cloud and its DNS do, the test does.
package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
	"github.com/neuroscale-platform/neuroscale/tests/rig/outputs"
)

const (
	wanted  = "NEUROSCALE_E2E"
	kept    = "NEUROSCALE_E2E_KEEP"
	stack   = "cloud"
	example = "demo-iris-2"
	tenant  = "team-a"
	other   = "team-b"
)

var budgets = schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}

// node is the one that the platform is on.
func node() (rig.Instance, error) {
	checkout, err := rig.Checkout()
	return rig.Instance{Name: stack, Sealed: filepath.Join(checkout, "bin", "sealed")}, err
}

func TestMain(m *testing.M) {
	rig.IfJanitor()
	if os.Getenv(wanted) != "1" || os.Getenv(kept) == "1" {
		os.Exit(m.Run())
	}
	node, err := node()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(rig.RunWithJanitor(m, node))
}

func TestAStackInTheShapeOfACloudsComesUp(t *testing.T) {
	if os.Getenv(wanted) != "1" {
		t.Skipf("brings a platform up on a node of its own: set %s=1", wanted)
	}
	around, end := context.WithCancel(context.Background())
	defer end()
	node, err := node()
	require.NoError(t, err)
	p := &platform{node: node, dir: t.TempDir(), around: around}
	host, err := rig.NewHostSnapshot(t.Context())
	require.NoError(t, err)
	require.True(t, t.Run("a node is what a cloud would be", p.comesUpAsACloud))
	require.True(t, t.Run("the platform comes up and predicts at its own name", p.comesUp))
	t.Run("a second up changes nothing", p.staysAsItIs)
	t.Run("all images came from the registry of one's own", p.imagesAreItsOwn)
	t.Run("the platform proves itself", p.provesItself)
	t.Run("the second tenant's endpoint answers at its name, with a model that only that tenant may read", p.otherAnswers)
	t.Run("no prediction fails while one pod after the other is evicted, and none is left without its double", p.outlivesEvictions)
	t.Run("destroy leaves nothing in the cluster", p.isDestroyed)
	if os.Getenv(kept) == "1" {
		return
	}
	rig.Succeed(t.Context(), t, p.node.Down(true))
	require.NoError(t, rig.Poll(t.Context(), 10*time.Second, time.Second, func(ctx context.Context) (string, error) {
		after, err := rig.NewHostSnapshot(ctx)
		return strings.Join(host.Added(after, stack), "; "), err
	}), "left on the host")
}

// platform is a stack on a node.
type platform struct {
	node rig.Instance
	// dir has the test's files. What is around the node ends with around.
	dir     string
	around  context.Context
	project rig.Project
	cluster *rig.Cluster
	env     []string
	// address is the node's, hosts the file with the names that a DNS would have.
	address, hosts string
	authority      string
	asked          *asked
	outputs        *stacks.Outputs
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// neuroscale is a call of it where the platform's names resolve.
func (p *platform) neuroscale(args ...string) rig.Command {
	program := filepath.Join(filepath.Dir(p.node.Sealed), "neuroscale")
	script := `mount --bind "$0" /etc/hosts && exec "$@"`
	return rig.Command{
		Path: "/usr/bin/unshare", Dir: p.project.Dir, Env: p.env,
		Args: append(append([]string{"--mount", "--propagation", "private", "/bin/sh", "-c", script, p.hosts, program}, args...), "-s", stack),
	}
}

func (p *platform) kubectl(args ...string) rig.Command {
	return rig.Command{Path: rig.Program(p.env, "kubectl"), Args: args, Env: p.env, Dir: p.project.Dir}
}

func (p *platform) comesUp(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.cluster.Diagnose(context.WithoutCancel(ctx)))
		}
	})
	r := rig.Succeed(ctx, t, p.neuroscale("up", "-o", "json"))
	t.Logf("it said:\n%s", r.Stderr)
	var report struct {
		Prediction *struct {
			Body string `json:"body"`
		} `json:"prediction"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report))
	require.NotNil(t, report.Prediction)
	assert.Contains(t, report.Prediction.Body, `"predictions"`)
	p.outputs = outputs.Of(ctx, t, p.env, p.project.Dir, stack)
	assert.Equal(t, "https://gateway.models.example.org", p.outputs.GatewayURL)
	assert.Equal(t, "https://portal.example.org", p.outputs.PortalURL)
	assert.Contains(t, p.outputs.ForgeURL, "https://nodes.example.org:")
	assert.Equal(t, strings.TrimSpace(p.authority), strings.TrimSpace(p.outputs.Authority), "it is signed by another authority")
}

func (p *platform) staysAsItIs(t *testing.T) {
	r := rig.Succeed(within(t, 3*time.Minute), t, p.neuroscale("up", "-o", "json"))
	var report struct {
		Changed bool  `json:"changed"`
		Drift   []any `json:"drift"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report))
	assert.False(t, report.Changed, r.Stderr)
	assert.Empty(t, report.Drift)
}

func (p *platform) imagesAreItsOwn(t *testing.T) {
	ctx := within(t, time.Minute)
	pods, err := p.cluster.List(ctx, kube.Pods, "")
	require.NoError(t, err)
	seen := 0
	for _, pod := range pods {
		if pod.GetNamespace() == "kube-system" {
			continue // the node's own
		}
		containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
		for _, c := range containers {
			image := c.(map[string]any)["image"].(string)
			if pod.GetNamespace() == tenant && strings.Contains(image, "nginx") {
				continue // people's own, of the first content
			}
			assert.Truef(t, strings.HasPrefix(image, mirror+"/"), "%s/%s has %s", pod.GetNamespace(), pod.GetName(), image)
			seen++
		}
	}
	assert.Greater(t, seen, 25)
}

func (p *platform) provesItself(t *testing.T) {
	r := rig.Succeed(within(t, 4*time.Minute), t, p.neuroscale("verify", "--wait", "2m"))
	t.Logf("it said:\n%s%s", r.Stdout, r.Stderr)
}

func (p *platform) otherAnswers(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	r := rig.Succeed(ctx, t, p.neuroscale("new", "endpoint", "other-iris", "--tenant", other,
		"--storage-uri", privateModel, "--propose", "--merge"))
	t.Logf("it said:\n%s%s", r.Stdout, r.Stderr)
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		a, err := p.ask(ctx, "other-iris", other)
		if err != nil || a.Code != http.StatusOK {
			return fmt.Sprintf("%d %s %v", a.Code, a.Body, err), nil
		}
		return "", nil
	}))
	p.asked.mu.Lock()
	defer p.asked.mu.Unlock()
	assert.Positive(t, p.asked.keys[accessKey(other)])
	assert.Len(t, p.asked.keys, 1, "the store was asked with other credentials, too: %v", p.asked.keys)
}

// ask an endpoint at the gateway's own name and port.
func (p *platform) ask(ctx context.Context, endpoint, namespace string) (rig.Answer, error) {
	client := rig.Direct(p.authority)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(p.address, port))
	}
	return rig.Ask(ctx, client, p.outputs.GatewayURL+"/v1/models/"+endpoint+":predict",
		endpoint+"-predictor."+namespace+".models.example.org", p.outputs.PlatformKey, predict.Example)
}

func (p *platform) outlivesEvictions(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	all, err := p.cluster.List(ctx, budgets, "")
	require.NoError(t, err)
	require.Len(t, all, 12)
	stop := rig.OnAndOn(ctx, 50*time.Millisecond, map[string]func(context.Context) (rig.Answer, error){
		"asker": func(ctx context.Context) (rig.Answer, error) { return p.ask(ctx, example, tenant) },
	})
	for _, b := range all {
		p.evictsOneOfTwo(ctx, t, b)
	}
	asked := stop()
	failed := 0
	for _, a := range asked {
		if a.Err != nil || a.Answer.Code != http.StatusOK {
			failed++
			t.Logf("after %s: %d %s %v", a.At.Round(100*time.Millisecond), a.Answer.Code, a.Answer.Body, a.Err)
		}
	}
	t.Logf("%d predictions, %d failed", len(asked), failed)
	assert.Greater(t, len(asked), 100)
	assert.Zero(t, failed)
}

// evictsOneOfTwo pods that a budget is for, is refused the other, and waits for another.
func (p *platform) evictsOneOfTwo(ctx context.Context, t *testing.T, budget unstructured.Unstructured) {
	t.Helper()
	name, namespace := budget.GetName(), budget.GetNamespace()
	chosen, _, _ := unstructured.NestedStringMap(budget.Object, "spec", "selector", "matchLabels")
	selector := labels.SelectorFromSet(chosen)
	var first, second string
	ready := func(ctx context.Context) (string, error) {
		pods, err := p.cluster.List(ctx, kube.Pods, namespace)
		if err != nil {
			return "", err
		}
		var two []string
		for _, pod := range pods {
			if selector.Matches(labels.Set(pod.GetLabels())) && rig.Serves(&pod) {
				two = append(two, pod.GetName())
			}
		}
		if len(two) != 2 {
			return fmt.Sprintf("%s has %d pods that are ready", name, len(two)), nil
		}
		first, second = two[0], two[1]
		now, err := p.cluster.Get(ctx, budgets, namespace, name)
		if err == nil && rig.Number(now, "status", "disruptionsAllowed") != 1 {
			return "the budget of " + name + " allows nothing yet", nil
		}
		return "", err
	}
	require.NoError(t, rig.Poll(ctx, 90*time.Second, 200*time.Millisecond, ready))
	r := p.evict(ctx, t, namespace, first)
	require.Zero(t, r.Code, r.String())
	r = p.evict(ctx, t, namespace, second)
	assert.NotZero(t, r.Code, "%s lost both its pods", name)
	assert.Contains(t, r.Stderr, "disruption budget")
	require.NoError(t, rig.Poll(ctx, 90*time.Second, 200*time.Millisecond, ready))
}

func (p *platform) evict(ctx context.Context, t *testing.T, namespace, name string) rig.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eviction.json")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil,
		`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, name, namespace), 0o600))
	return rig.Logged(ctx, t, p.kubectl("create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+name+"/eviction", "-f", file))
}

func (p *platform) isDestroyed(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	rig.Succeed(ctx, t, p.neuroscale("destroy", "--yes"))
	all, err := p.cluster.List(ctx, kube.Namespaces, "")
	require.NoError(t, err)
	var names []string
	for _, n := range all {
		names = append(names, n.GetName())
	}
	assert.ElementsMatch(t, []string{"default", "kube-node-lease", "kube-public", "kube-system"}, names)
}
