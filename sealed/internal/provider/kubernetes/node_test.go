package kubernetes

import (
	"os"
	"strings"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// image is one that has a shell and can be pulled by the real cluster. Without
// it, what runs pods is skipped.
func image(t *testing.T) string {
	t.Helper()
	name := os.Getenv("NEUROSCALE_TEST_IMAGE")
	if name == "" {
		lack(t, "NEUROSCALE_TEST_IMAGE names no image with a shell")
	}
	return name
}

func pod(image, script string) m {
	return m{
		"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
		"containers": []any{m{
			"name": "main", "image": image, "command": []any{"sh", "-c", script},
			"resources": m{"requests": m{"cpu": "10m", "memory": "32Mi"}, "limits": m{"memory": "128Mi"}},
		}},
	}
}

func TestRealJobIsWaitedForUntilItCompletes(t *testing.T) {
	e, ns := realCluster(t, nil)
	job := func(name, script string) m {
		return m{"metadata": m{"name": name, "namespace": ns}, "spec": m{"backoffLimit": 0, "template": m{"spec": pod(image(t), script)}}}
	}
	r, reasons, err := e.TryCreate(urnJob, of(job("load", "echo done")), 120)
	require.NoError(t, err, reasons)
	assert.InDelta(t, 1, field(t, r.Outputs, "status", "succeeded").NumberValue(), 0)
	require.NoError(t, e.Delete(r, 60))

	urn := servertest.URN("kubernetes:batch/v1:Job", "broken")
	r, reasons, err = e.TryCreate(urn, of(job("broken", "echo the repository refused the push >&2; exit 3")), 120)
	require.Error(t, err)
	all := strings.Join(reasons, "\n")
	for _, part := range []string{"Job " + ns + "/broken is not ready: the Job failed", "exit code 3", "the repository refused the push"} {
		assert.Contains(t, all, part)
	}
	again := job("broken", "echo done")
	again["metadata"].(m)["annotations"] = m{annotationReplaceUnready: "true"}
	diff := e.Diff(r, of(again))
	assert.NotEmpty(t, diff.GetReplaces())
	assert.True(t, diff.GetDeleteBeforeReplace())
	require.NoError(t, e.Delete(r, 60))
}

func TestRealDeploymentAndItsServiceAreWaitedFor(t *testing.T) {
	e, ns := realCluster(t, nil)
	web := func(image string) props {
		spec := pod(image, "sleep 3600")
		delete(spec, "restartPolicy")
		return of(m{"metadata": m{"name": "web", "namespace": ns}, "spec": m{
			"selector": m{"matchLabels": m{"app": "web"}}, "strategy": m{"type": "Recreate"},
			"template": m{"metadata": m{"labels": m{"app": "web"}}, "spec": spec},
		}})
	}
	r, reasons, err := e.TryCreate(urnDeployment, web(image(t)), 120)
	require.NoError(t, err, reasons)
	assert.InDelta(t, 1, field(t, r.Outputs, "status", "availableReplicas").NumberValue(), 0)
	service := of(m{"metadata": m{"name": "web", "namespace": ns}, "spec": m{"selector": m{"app": "web"}, "ports": []any{m{"port": 80}}}})
	s, reasons, err := e.TryCreate(servertest.URN("kubernetes:core/v1:Service", "web"), service, 60)
	require.NoError(t, err, reasons)
	require.NoError(t, e.Delete(s, 30))

	r, reasons, err = e.TryUpdate(r, web("registry.invalid/none:1"), 15)
	require.Error(t, err)
	all := strings.Join(reasons, "\n")
	assert.Contains(t, reasons[0], "Deployment "+ns+"/web was not ready within 15s")
	assert.Regexp(t, "ErrImagePull|ImagePullBackOff", all)
	assert.Contains(t, all, "registry.invalid/none:1")
	require.NoError(t, e.Delete(r, 60))
	_, ok, err := e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok)
}
