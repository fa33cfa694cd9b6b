package guardrails

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func cache(t *testing.T) string {
	t.Helper()
	dir, err := rig.Cache()
	require.NoError(t, err)
	return dir
}

// TestGuardSaysWhatItHasToSay gives the whole corpus to one run.
func TestGuardSaysWhatItHasToSay(t *testing.T) {
	program := rig.Kyverno(t)
	all, dir := corpus(t), t.TempDir()
	for _, c := range all {
		require.NoError(t, os.WriteFile(filepath.Join(dir, c.File), c.Text, 0o600))
	}
	report, err := guard.Run(t.Context(), guard.Options{
		Paths: []string{dir}, GitOps: gitops.FS, Tenants: config.Default().Tenants,
		RenderCache: filepath.Join(cache(t), "render"), SchemaCache: filepath.Join(cache(t), "schemas"), Kyverno: program,
	})
	require.NoError(t, err)
	t.Logf("%d files, %d objects, %.1f s", report.Files, len(report.Documents), report.Seconds)

	readable := 0
	for _, c := range all {
		for _, d := range c.Read() {
			if d.Object != nil {
				readable++
			}
		}
	}
	assert.Equal(t, len(all), report.Files)
	assert.Len(t, report.Documents, readable)
	assert.Equal(t, report.ProbesExpected, report.Probes)
	for _, p := range report.Policies {
		t.Logf("%s: expected %d, by Kyverno %d, by the API server's library %d, refused %d", p.Name, p.Expected, p.Kyverno, p.Native, p.Refused)
		assert.Equal(t, p.Kyverno, p.Native, "%s", p.Name)
	}

	rules, messages := map[string]map[string]bool{}, map[string][]string{}
	for _, f := range report.Findings {
		if f.Level != guard.Error {
			continue
		}
		file := filepath.Base(f.File)
		if f.File == "" {
			t.Errorf("the run itself: %s: %s", f.Rule, f.Message)
			continue
		}
		if rules[file] == nil {
			rules[file] = map[string]bool{}
		}
		rules[file][f.Rule] = true
		messages[file] = append(messages[file], f.Rule+": "+f.Message)
	}
	verdicts, details := make([]Verdict, len(all)), make([]string, len(all))
	for i, c := range all {
		verdicts[i], details[i] = said(rules[c.File]), strings.Join(messages[c.File], "; ")
	}
	assert.Empty(t, Compare(Guard, all, verdicts, details))
}

// said is the verdict that a file's rules amount to. What is wrong with the text
// or its namespace comes before what policies refuse.
func said(rules map[string]bool) Verdict {
	switch {
	case rules[guard.RuleNamespace]:
		return Namespace
	case rules[guard.RuleRead], rules[guard.RuleSchema]:
		return Schema
	case len(rules) == 0:
		return Admit
	}
	// One rule: a second one would be a second fault, or no verdict at all.
	return Verdict(strings.Join(slices.Sorted(maps.Keys(rules)), "+"))
}
