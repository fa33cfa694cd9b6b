package tenancy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func TestNetworkPoliciesAreEnforcedOnlyIfThePodIsRefusedWhileItsDNSAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
	_, open, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, refused, err := net.SplitHostPort(closed.Addr().String())
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	for name, test := range map[string]struct {
		port, name, required string
		seconds              string
		verdict, says        string
		fails                bool
	}{
		"refused":             {port: refused, name: "localhost", required: "true", seconds: "20", verdict: Enforced, says: "are enforced"},
		"reached":             {port: open, name: "localhost", required: "false", seconds: "0.1", verdict: NotEnforced, says: "are not enforced"},
		"reached, not to be":  {port: open, name: "localhost", required: "true", seconds: "0.1", verdict: NotEnforced, says: "requireNetworkPolicy is true", fails: true},
		"no network whatever": {port: refused, name: "nobody.invalid", required: "false", seconds: "0.1", says: "cluster DNS does not answer", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script, verdict := filepath.Join(dir, "enforcement.py"), filepath.Join(dir, "verdict")
			require.NoError(t, os.WriteFile(script, []byte(enforcementScript), 0o600))
			cmd := exec.Command("python3", script)
			cmd.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT="+test.port,
				"NAME="+test.name, "REQUIRED="+test.required, "SECONDS="+test.seconds, "VERDICT="+verdict)
			out, err := cmd.CombinedOutput()
			assert.Equal(t, test.fails, err != nil, string(out))
			assert.Contains(t, string(out), test.says)
			said, _ := os.ReadFile(verdict)
			assert.Equal(t, test.verdict, string(said))
		})
	}
}

func TestTheProbeOfNetworkPoliciesIsAllowedDNSAndNothingElse(t *testing.T) {
	r, _ := build(t, args(t, tenants()...))
	jobs := slices.DeleteFunc(r.Kind("Job"), func(g *recorder.Registration) bool { return !strings.HasPrefix(g.ObjectName(), enforcement) })
	require.Len(t, jobs, 1)
	job := jobs[0]
	policy := r.Get(t, "NetworkPolicy", enforcement)
	assert.Equal(t, layer.Namespace, recorder.At(job.Object(), "metadata.namespace"))
	assert.Equal(t, map[string]any{"matchLabels": map[string]any{"neuroscale.dev/probe": enforcement}},
		recorder.At(policy.Object(), "spec.podSelector"))
	assert.Equal(t, enforcement, recorder.At(job.Object(), "spec.template.metadata.labels").(map[string]any)["neuroscale.dev/probe"])
	assert.Equal(t, []any{"Egress"}, recorder.At(policy.Object(), "spec.policyTypes"))
	assert.Len(t, recorder.At(policy.Object(), "spec.egress"), 1)
	assert.True(t, r.Waits(job, policy), "it would try before there is a policy")
}
