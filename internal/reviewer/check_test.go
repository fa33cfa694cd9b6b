package reviewer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

func script(t *testing.T, text string) Checker {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return Process(file)
}

func TestAProcessSaysItsVerdict(t *testing.T) {
	v, err := script(t, `cat >"$(dirname $0)/job"; echo '{"passed":true,"summary":"s","comment":"c"}'`)(t.Context(), Job{Repository: "r"})
	require.NoError(t, err)
	assert.Equal(t, &Verdict{Passed: true, Summary: "s", Comment: "c"}, v)
	for what, text := range map[string]string{
		"a verdict of another program": `echo hello`,
		"no verdict":                   `true`,
		"a verdict without a comment":  `echo '{"passed":true}'`,
		"a verdict and a failure":      `echo '{"passed":true,"comment":"c"}'; echo "no memory" >&2; exit 3`,
		"a death":                      `kill -9 $$`,
	} {
		_, err := script(t, "cat >/dev/null; "+text)(t.Context(), Job{})
		require.ErrorContains(t, err, "the check ended", what)
	}
}

func TestACheckEndsWithAllItHasStarted(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "alive")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := script(t, `(sleep 3; touch `+mark+`) & cat >/dev/null; wait`)(ctx, Job{})
	require.Error(t, err)
	assert.Less(t, time.Since(started), 2500*time.Millisecond)
	time.Sleep(3 * time.Second)
	assert.NoFileExists(t, mark, "what it has started goes on")
}

// With Kyverno's real command line and the platform's own rules.
func TestRulesThatWerePackedJudgeLikeTheCommand(t *testing.T) {
	kyverno, err := exec.LookPath("kubectl-kyverno")
	if err != nil {
		if os.Getenv("NEUROSCALE_E2E") != "" {
			require.NoError(t, err)
		}
		t.Skip("Kyverno's command line is not on PATH")
	}
	rules := packed(t)
	const at = "apps/my-iris/inference-service.yaml"
	manifest, err := os.ReadFile("../../gitops/apps/demo-iris-2/inference-service.yaml")
	require.NoError(t, err)
	snapshot := func(name string, data []byte) *guard.Snapshot {
		return &guard.Snapshot{Name: name, Files: []guard.File{{Path: at, Size: int64(len(data)), Data: data}, {Path: "README.md", Size: 3}}}
	}
	empty := &guard.Snapshot{Name: "main at m0"}
	v, err := Judge(t.Context(), rules, kyverno, Job{Repository: "endpoints", After: snapshot("pull request 1", manifest), Before: empty})
	require.NoError(t, err)
	assert.True(t, v.Passed, v.Comment)
	assert.Contains(t, v.Comment, "Cost and quota")

	v, err = Judge(t.Context(), rules, kyverno, Job{Repository: "endpoints", After: empty, Before: snapshot("main at m0", manifest)})
	require.NoError(t, err)
	assert.True(t, v.Passed, "the last endpoint cannot be removed: %s", v.Comment)

	bad := append([]byte("kind: InferenceService\n---\n"), manifest...)
	v, err = Judge(t.Context(), rules, kyverno, Job{Repository: "endpoints", After: snapshot("pull request 1", bad), Before: empty})
	require.NoError(t, err)
	assert.False(t, v.Passed)
	assert.Contains(t, v.Comment, "`"+at+":1`", "the finding has its line")
	_, err = Judge(t.Context(), rules, kyverno, Job{Repository: "elsewhere", After: empty, Before: empty})
	require.ErrorContains(t, err, "the repository elsewhere is no tenant's")
}
