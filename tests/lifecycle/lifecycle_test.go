// Package lifecycle ends things at bad moments: an `up` ten times on its way, a
// cluster under a stack, a node under a platform, and what a destroy needs. Each time
// the next command has to put it right, or to say what nobody but people can. It takes
// long and has a sealed node of its own, so it runs only when NEUROSCALE_LIFECYCLE=1
// asks for it (`make test-lifecycle`). Each step can run alone, on a node that is up.
package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/logtest"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	wanted = "NEUROSCALE_LIFECYCLE"
	// named uses an instance of that name, which stays up. For the development of
	// these tests.
	named    = "NEUROSCALE_LIFECYCLE_NODE"
	stack    = "ci"
	instance = "lifecycle"
)

func TestMain(m *testing.M) {
	rig.IfJanitor()
	if os.Getenv(wanted) != "1" {
		fmt.Printf("lifecycle tests are skipped: set %s=1 (make test-lifecycle does) to run them\n", wanted)
		os.Exit(m.Run())
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	if os.Getenv(named) != "" {
		return m.Run()
	}
	checkout, err := rig.Checkout()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return rig.RunWithJanitor(m, rig.Instance{Name: instance, Sealed: filepath.Join(checkout, "bin", "sealed")})
}

// life is one node with one stack on it.
type life struct {
	node       rig.Instance
	neuroscale string
	project    rig.Project
	env        []string
}

func begin(t *testing.T) *life {
	t.Helper()
	if os.Getenv(wanted) != "1" {
		t.Skipf("set %s=1 to run the lifecycle tests", wanted)
	}
	checkout, err := rig.Checkout()
	require.NoError(t, err)
	l := &life{neuroscale: filepath.Join(checkout, "bin", "neuroscale")}
	l.node = rig.Instance{Name: instance, Sealed: filepath.Join(checkout, "bin", "sealed")}
	if name := os.Getenv(named); name != "" {
		l.node.Name = name
	}
	l.project, err = rig.CopyProject(checkout, t.TempDir())
	require.NoError(t, err)
	return l
}

func (l *life) nodeUp(ctx context.Context, t *testing.T) {
	t.Helper()
	rig.Succeed(ctx, t, l.node.Up())
	var err error
	l.env, err = l.node.Environment(ctx)
	require.NoError(t, err)
}

func (l *life) command(verb string, more ...string) rig.Command {
	return rig.Command{Path: l.neuroscale, Args: append([]string{verb, "-C", l.project.Dir, "-s", stack}, more...), Env: l.env, Dir: l.project.Dir}
}

// up brings the platform up and says whether that changed anything.
func (l *life) up(ctx context.Context, t *testing.T) (changed bool) {
	t.Helper()
	var report struct {
		Changed    bool `json:"changed"`
		Prediction *struct {
			Body string `json:"body"`
		} `json:"prediction"`
	}
	r := rig.Succeed(ctx, t, l.command("up", "-o", "json"))
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &report), "%s", r)
	require.NotNil(t, report.Prediction, "no endpoint predicts: %s", r)
	return report.Changed
}

// counted are the resources that an up says are done, and of how many.
var counted = regexp.MustCompile(`(?m)^\s*[0-9.]+s\s+([0-9]+)/([0-9]+)\s`)

// watched is what a command has said so far.
type watched struct{ logtest.Log }

// done is how many resources the last line counts; 0 if none does.
func (w *watched) done() int {
	all := counted.FindAllStringSubmatch(w.String(), -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}

func TestTheCountOfAnUpIsUnderstood(t *testing.T) {
	w := &watched{}
	assert.Zero(t, w.done())
	for _, said := range []struct {
		text string
		done int
	}{
		{"node: API server ready 2.7s\n    3.7s    52/114  certificates     done in 2.5s (23 of 23 resources)\n   15.3s   12", 52},
		{"7/151  argocd", 127}, // a line that has not ended counts
		{"           done in 13.4s\n", 127},
	} {
		_, err := w.Write([]byte(said.text))
		require.NoError(t, err)
		assert.Equal(t, said.done, w.done(), said.text)
	}
}

// points are how many resources an up has when it is killed, of about 265: closer to
// each other at its end, where it takes longest.
var points = []int{5, 30, 60, 95, 130, 165, 200, 230, 245, 255}

func TestPlatformThatIsKilledOnItsWay(t *testing.T) {
	l := begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Minute)
	defer cancel()
	l.nodeUp(ctx, t)
	for _, step := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"an up that is killed at ten points converges", l.killedUps},
		{"a node that was killed has lost nothing", l.endedNode(syscall.SIGKILL, "kept-killed")},
		{"a node that was stopped has lost nothing", l.endedNode(syscall.SIGTERM, "kept-stopped")},
		{"a node that was taken down is a platform again", l.nodeDown},
		{"an up whose registry goes away waits for it", l.noRegistry},
		{"an up on a disk that was full converges", l.fullDisk},
		{"a destroy with a broken layer leaves nothing", l.brokenLayer},
		{"a destroy that somebody holds up says who", l.heldObject},
		{"a destroy whose cluster is gone forgets it", l.clusterGone},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(ctx, t) }) {
			return
		}
	}
}

// begun is an up that has so many resources.
func (l *life) begun(ctx context.Context, t *testing.T, said *watched, at int) *rig.Process {
	t.Helper()
	c := l.command("up")
	c.Output = said
	p, err := c.Start(ctx)
	require.NoError(t, err)
	for said.done() < at {
		select {
		case <-p.Done():
			r, err := p.Wait()
			require.NoError(t, err)
			require.Fail(t, "up ended before it was as far", "with %d of its resources: %s", at, r)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return p
}

// killings are what of an up is ended by SIGKILL, and what it says then.
var killings = []struct {
	what string
	kill func(*rig.Process) error
	says string
}{
	{"all of it", (*rig.Process).KillSession, ""},
	{"the command alone", (*rig.Process).KillOnly, ""},
	{"the engine alone", func(p *rig.Process) error { return p.KillNamed("pulumi") }, "pulumi was ended (signal: killed)"},
}

// killedUps kills an up at each point, in turn all of it, the command and the engine.
func (l *life) killedUps(ctx context.Context, t *testing.T) {
	rig.Succeed(ctx, t, l.command("destroy", "--yes"))
	start := time.Now()
	var left []*rig.Process
	for n, at := range points {
		said := &watched{}
		p := l.begun(ctx, t, said, at)
		killing := killings[n%len(killings)]
		require.NoError(t, killing.kill(p))
		r, err := p.Wait()
		require.NoError(t, err)
		require.NotZero(t, r.Code, "%s", r)
		assert.Contains(t, r.Stderr, killing.says)
		left = append(left, p)
		t.Logf("%s killed after %s with %d resources: %s", killing.what, r.Took.Round(100*time.Millisecond), said.done(), strings.Join(r.Lines()[max(0, len(r.Lines())-1):], ""))
	}
	assert.True(t, l.up(ctx, t))
	t.Logf("%d kills, and an up that ended well %s after the first up began", len(points), time.Since(start).Round(time.Second))
	assert.False(t, l.up(ctx, t), "an up after the one that put everything right changed something")
	for _, p := range left {
		assert.Empty(t, p.Session(), "processes of a killed up still run")
	}
	rig.Succeed(ctx, t, l.command("verify", "--wait", "1m"))
}

// nodeDown ends the node as people do.
func (l *life) nodeDown(ctx context.Context, t *testing.T) {
	l.up(ctx, t)
	rig.Succeed(ctx, t, l.node.Down(false))
	l.again(ctx, t)
}

// again brings up the node and the platform, and has it prove itself.
func (l *life) again(ctx context.Context, t *testing.T) {
	start := time.Now()
	l.nodeUp(ctx, t)
	assert.True(t, l.up(ctx, t), "the cluster is a new one, and nothing was to do")
	rig.Succeed(ctx, t, l.command("verify", "--wait", "1m"))
	t.Logf("everything right %s after the node began", time.Since(start).Round(time.Second))
}

func (l *life) kubectl(args ...string) rig.Command {
	return rig.Command{Path: rig.Program(l.env, "kubectl"), Args: args, Env: l.env}
}

// brokenLayer has KServe's controller gone for good, which its objects wait for, and
// another layer point at a commit that does not exist.
func (l *life) brokenLayer(ctx context.Context, t *testing.T) {
	l.up(ctx, t)
	for _, args := range [][]string{
		{"patch", "application", "kserve", "-n", "argocd", "--type=merge", "-p", `{"spec":{"syncPolicy":{"automated":null}}}`},
		{"delete", "deployment", "kserve-controller-manager", "-n", "kserve"},
		{"patch", "application", "opencost", "-n", "argocd", "--type=merge", "-p", `{"spec":{"source":{"targetRevision":"layer/opencost/none"}}}`},
	} {
		rig.Succeed(ctx, t, l.kubectl(args...))
	}
	r := rig.Succeed(ctx, t, l.command("destroy", "--yes"))
	assert.Contains(t, r.Stdout, "destroyed")
	l.nothingLeft(ctx, t)
}

// nothingLeft demands that the cluster has nothing of the platform's.
func (l *life) nothingLeft(ctx context.Context, t *testing.T) {
	t.Helper()
	r := rig.Succeed(ctx, t, l.kubectl("get", "namespaces", "-o", "name"))
	for _, namespace := range []string{"argocd", "forge", "kserve", "knative-serving", "kyverno", "portal"} {
		assert.NotContains(t, strings.Split(r.Stdout, "\n"), "namespace/"+namespace)
	}
	r = rig.Succeed(ctx, t, l.kubectl("get", "crds", "-o", "name"))
	assert.Empty(t, strings.TrimSpace(r.Stdout))
}

// heldObject has something in a tenant's namespace that nobody lets go of.
func (l *life) heldObject(ctx context.Context, t *testing.T) {
	const finalizer = "lifecycle.example/held"
	restore, err := l.project.Set(stack, "neuroscale:tenants", []any{
		map[string]any{}, // the default one
		map[string]any{"namespace": "held-team", "owner": "held", "costCenter": "held", "repositories": []any{"held"}},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, restore()) }()
	l.up(ctx, t)
	rig.Succeed(ctx, t, l.kubectl("create", "configmap", "held", "-n", "held-team"))
	held := func(finalizers string) rig.Command {
		return l.kubectl("patch", "configmap", "held", "-n", "held-team", "--type=merge", "-p", `{"metadata":{"finalizers":`+finalizers+`}}`)
	}
	rig.Succeed(ctx, t, held(`["`+finalizer+`"]`))
	r := rig.Logged(ctx, t, l.command("destroy", "--yes"))
	assert.NotZero(t, r.Code)
	t.Logf("%s", r)
	assert.Contains(t, r.Stderr, finalizer, "it does not say whose")
	assert.Contains(t, r.Stderr, "held-team", "it does not say where")
	rig.Succeed(ctx, t, held("null"))
	rig.Succeed(ctx, t, l.command("destroy", "--yes"))
	l.nothingLeft(ctx, t)
}

// clusterGone takes the node away under a stack that is being brought up.
func (l *life) clusterGone(ctx context.Context, t *testing.T) {
	p := l.begun(ctx, t, &watched{}, points[4])
	require.NoError(t, p.KillSession())
	_, err := p.Wait()
	require.NoError(t, err)
	l.endNode(ctx, t, syscall.SIGKILL)
	r := rig.Logged(ctx, t, l.command("destroy", "--yes"))
	assert.NotZero(t, r.Code)
	assert.Contains(t, r.Stderr, "destroy -s ci --unreachable", "it does not say what to do")
	assert.Len(t, r.Lines(), 1, "%s", r)
	r = rig.Succeed(ctx, t, l.command("destroy", "--yes", "--unreachable"))
	assert.Contains(t, r.Stdout, "destroyed")
	r = rig.Succeed(ctx, t, l.command("destroy", "--yes", "--unreachable"))
	assert.NotContains(t, r.Stdout, "error")
}
