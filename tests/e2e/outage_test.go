package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	guards "github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
	"github.com/neuroscale-platform/neuroscale/tests/guardrails"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// guardrailsHoldWithoutKyverno ends Kyverno by SIGKILL, so that its webhooks stay
// behind, and keeps it away. It is on its way back when this returns.
func (s *suite) guardrailsHoldWithoutKyverno(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	g := s.gate(t)
	g.prepare(ctx, t)
	s.awaitKyverno(ctx, t, g, 30*time.Second)
	s.killKyverno(ctx, t)

	webhooks, err := s.cluster.Get(ctx, kube.ValidatingWebhooks, "", "kyverno-resource-validating-webhook-cfg")
	require.NoError(t, err)
	require.NotNil(t, webhooks, "Kyverno's webhooks went with it: it was not killed")
	list, _, err := unstructured.NestedSlice(webhooks.Object, "webhooks")
	require.NoError(t, err)
	require.NotEmpty(t, list, "Kyverno's webhooks went with it: it was not killed")
	answers, err := g.KyvernoAnswers(ctx, samples.Namespace, kyvernoAnswers)
	require.NoError(t, err)
	require.False(t, answers, "Kyverno still answers")

	t.Run("status names it", func(t *testing.T) { s.requireStatusNames(ctx, t, guards.KyvernoLayer) })
	t.Run("nobody waits for it", func(t *testing.T) { s.nobodyWaits(ctx, t, g) })
	t.Run("the native policies say the same", func(t *testing.T) {
		g.requireVerdicts(ctx, t, guardrails.Native, guardrails.ByNative)
	})
}

// nobodyWaits demands that each answer comes at once: a webhook that is waited for
// takes two seconds.
func (s *suite) nobodyWaits(ctx context.Context, t *testing.T, g *gate) {
	const limit = 1500 * time.Millisecond
	want := func(what string, verdict guardrails.Verdict, ask func() (guardrails.Answer, error)) {
		a, err := ask()
		require.NoError(t, err, what)
		assert.Equal(t, verdict, a.Verdict, "%s: %s", what, a)
		assert.Less(t, a.Took, limit, what)
		t.Logf("%s: %s after %s", what, a.Verdict, a.Took.Round(time.Millisecond))
	}
	for _, id := range append(slices.Clone(probes), "inferenceservice-model/good", "pod/good", "deployment/good", "cronjob/good") {
		c := g.find(t, id)
		want(id, c.Want, func() (guardrails.Answer, error) { return g.Submit(ctx, c) })
	}
	for _, namespace := range []string{strangers, argocd, "kube-system", kyvernoNamespace, "kserve"} {
		for _, shape := range []string{"deployment", "inferenceservice-model"} {
			o := guardrails.Base(shape, namespace)
			delete(o["metadata"].(map[string]any), "labels")
			want("an unlabelled "+shape+" in "+namespace, guardrails.Admit, func() (guardrails.Answer, error) { return g.Create(ctx, namespace, o) })
		}
	}
}

// killKyverno stops all processes of Kyverno where they are, tells Kubernetes
// that there shall be none, and ends them by SIGKILL: they get no chance to
// remove their webhooks, and none comes after them. At the end of the test it is
// wanted again.
func (s *suite) killKyverno(ctx context.Context, t *testing.T) {
	t.Helper()
	pods, err := s.cluster.List(ctx, kube.Pods, kyvernoNamespace)
	require.NoError(t, err)
	require.NotEmpty(t, pods, "Kyverno does not run")
	processes, err := rig.ProcessesOf(pods)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(processes), len(pods), "no process was found for some of Kyverno's pods")
	signal := func(sig os.Signal) {
		for _, p := range processes {
			if err := p.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
				assert.NoError(t, err)
			}
		}
	}

	s.pause(ctx, t, guards.KyvernoLayer)
	deployments, err := s.cluster.List(ctx, kube.Deployments, kyvernoNamespace)
	require.NoError(t, err)
	require.NotEmpty(t, deployments)
	scale := func(ctx context.Context, d *unstructured.Unstructured, replicas int64) error {
		return s.cluster.Patch(ctx, kube.Deployments, kyvernoNamespace, d.GetName(), fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
	}
	t.Cleanup(func() {
		// Were one left that only stopped, it would hang for ever.
		signal(syscall.SIGKILL)
		for i := range deployments {
			assert.NoError(t, scale(context.WithoutCancel(ctx), &deployments[i], rig.Number(&deployments[i], "spec", "replicas")))
		}
	})
	signal(syscall.SIGSTOP)
	for i := range deployments {
		require.Positive(t, rig.Number(&deployments[i], "spec", "replicas"))
		require.NoError(t, scale(ctx, &deployments[i], 0))
	}
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 20*time.Second, often, func(ctx context.Context) (string, error) {
		pods, err := s.cluster.List(ctx, kube.Pods, kyvernoNamespace)
		for i := range pods {
			if pods[i].GetDeletionTimestamp() == nil {
				return "pod " + pods[i].GetName() + " would be started again", err
			}
		}
		return "", err
	}))
	signal(syscall.SIGKILL)
	require.NoError(t, rig.Poll(ctx, 40*time.Second, often, func(ctx context.Context) (string, error) {
		pods, err := s.cluster.List(ctx, kube.Pods, kyvernoNamespace)
		if len(pods) > 0 {
			return fmt.Sprintf("%d pods of Kyverno are still there", len(pods)), err
		}
		return "", err
	}))
	t.Logf("%d processes of %d pods were killed, the pods were gone after %s", len(processes), len(pods), time.Since(start).Round(100*time.Millisecond))
}

// kyvernoComesBack waits until Kyverno judges and reports again.
func (s *suite) kyvernoComesBack(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	s.awaitKyverno(ctx, t, s.gate(t), 90*time.Second)
	for _, name := range []string{guards.KyvernoLayer, guards.PoliciesLayer, guards.AdmissionLayer} {
		require.NoError(t, s.awaitSynced(ctx, name, ""))
	}
	for _, name := range guardrails.Policies() {
		require.NoError(t, s.awaitPolicy(ctx, name, ""))
	}
}
