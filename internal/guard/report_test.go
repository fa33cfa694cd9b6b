package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git"
)

// story is a run with something of everything in it, compared with a base.
func story(t *testing.T) *Report {
	t.Helper()
	big := strings.ReplaceAll(deployment("good"), "cpu: 10m", "cpu: 3")
	dir := folder(t, map[string]string{
		"apps/a/d.yaml":     deployment("good"),
		"apps/gone/d.yaml":  deployment("gone"),
		"apps/broken/d.yml": "a: [\n",
	})
	repository(t, dir)
	for name, text := range map[string]string{
		"apps/a/d.yaml":       big,
		"apps/b/two.yaml":     service + "---\n" + deployment("bad-"+root+"-1"),
		"apps/b/two.yaml.bak": "old",
		"apps/broken/d.yml":   "a: b: c\n",
		"apps/c/<img>|`x.yml": "apiVersion: v1\nkind: Secret\nmetadata: {name: '@everyone <b>|x'}\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "apps", "gone")))
	t.Chdir(dir)
	return checkAt(t, Options{Paths: []string{"apps"}, Base: "main"}, nil)
}

// repository commits what is in the folder on main.
func repository(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"},
		{"-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "first"},
	} {
		_, err := git.Run(t.Context(), dir, args...)
		require.NoError(t, err)
	}
}

func TestReportsAreAsTheyWere(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	r := story(t)
	t.Chdir(here)
	for name, write := range map[string]func(io.Writer) error{
		"report.txt": r.Text, "report.md": r.Markdown, "report.sarif": r.SARIF,
		"report.json": func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		},
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		golden(t, name, b.Bytes())
	}
}

func TestAReportOfNothingCanBeWritten(t *testing.T) {
	r := &Report{Paths: []string{"x"}, Findings: []Finding{{Rule: RuleSchema, Level: Error, Message: "there is no go on PATH"}}}
	r.finish()
	var b bytes.Buffer
	require.NoError(t, r.Text(&b))
	assert.Contains(t, b.String(), "FAILED: found 1 error in 0 objects\n")
	b.Reset()
	require.NoError(t, r.Markdown(&b))
	assert.True(t, strings.HasPrefix(b.String(), Marker+"\n## Guard: failed\n"))
	b.Reset()
	require.NoError(t, r.SARIF(&b))
	checkSARIF(t, b.Bytes())
}

func TestSARIFHasWhatTheStandardRequires(t *testing.T) {
	r := story(t)
	var b bytes.Buffer
	require.NoError(t, r.SARIF(&b))
	checkSARIF(t, b.Bytes())
}

// checkSARIF asserts what section 3 of SARIF 2.1.0 says shall be there, and that
// references into arrays hold.
func checkSARIF(t *testing.T, data []byte) {
	t.Helper()
	var log struct {
		Version string `json:"version"`
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string `json:"name"`
					Rules []struct {
						ID string `json:"id"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Invocations []struct {
				ExecutionSuccessful *bool `json:"executionSuccessful"`
				Notifications       []struct {
					Level   string `json:"level"`
					Message struct {
						Text string `json:"text"`
					} `json:"message"`
				} `json:"toolExecutionNotifications"`
			} `json:"invocations"`
			Results []struct {
				RuleID    string `json:"ruleId"`
				RuleIndex int    `json:"ruleIndex"`
				Level     string `json:"level"`
				Message   struct {
					Text string `json:"text"`
				} `json:"message"`
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct {
							URI string `json:"uri"`
						} `json:"artifactLocation"`
						Region *struct {
							StartLine int `json:"startLine"`
						} `json:"region"`
					} `json:"physicalLocation"`
				} `json:"locations"`
			} `json:"results"`
		} `json:"runs"`
	}
	require.NoError(t, json.Unmarshal(data, &log))
	assert.Equal(t, "2.1.0", log.Version)
	require.Len(t, log.Runs, 1)
	run := log.Runs[0]
	assert.NotEmpty(t, run.Tool.Driver.Name)
	ids := map[string]bool{}
	for _, rule := range run.Tool.Driver.Rules {
		assert.False(t, ids[rule.ID], "rule ids are unique: %s", rule.ID)
		ids[rule.ID] = true
	}
	levels := []string{"error", "warning", "note"}
	require.Len(t, run.Invocations, 1)
	require.NotNil(t, run.Invocations[0].ExecutionSuccessful)
	for _, n := range run.Invocations[0].Notifications {
		assert.Contains(t, levels, n.Level)
		assert.NotEmpty(t, n.Message.Text)
	}
	assert.NotNil(t, run.Results)
	for _, result := range run.Results {
		require.Less(t, result.RuleIndex, len(run.Tool.Driver.Rules))
		assert.Equal(t, result.RuleID, run.Tool.Driver.Rules[result.RuleIndex].ID)
		assert.Contains(t, levels, result.Level)
		assert.NotEmpty(t, result.Message.Text)
		require.Len(t, result.Locations, 1)
		at := result.Locations[0].PhysicalLocation
		assert.NotEmpty(t, at.ArtifactLocation.URI)
		assert.NotContains(t, at.ArtifactLocation.URI, " ")
		if at.Region != nil {
			assert.Positive(t, at.Region.StartLine)
		}
	}
}

func TestALongReportFitsIntoAComment(t *testing.T) {
	r := &Report{}
	for i := range 500 {
		r.Findings = append(r.Findings, Finding{Rule: "p", Level: Error, File: "apps/" + strings.Repeat("x", 100) + fmt.Sprint(i), Message: strings.Repeat("|", 2000)})
	}
	var b bytes.Buffer
	require.NoError(t, r.Markdown(&b))
	assert.Less(t, b.Len(), 65536)
	assert.Contains(t, b.String(), "450 more are in the output of `neuroscale guard`.")
}

func TestTheBaseIsReadFromGitAsItWas(t *testing.T) {
	dir := folder(t, map[string]string{
		"apps/a/d.yaml": deployment("a"), "apps/b/with space ü.yaml": service, "apps/c/x.txt": "x", "other/d.yaml": "a",
	})
	require.NoError(t, os.Symlink("d.yaml", filepath.Join(dir, "apps", "a", "link.yaml")))
	repository(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apps", "a", "d.yaml"), []byte("changed"), 0o644))
	t.Chdir(filepath.Join(dir, "apps"))
	files, err := atBase(context.Background(), "main", []string{"a", ".", "b/with space ü.yaml"})
	require.NoError(t, err)
	found := map[string]string{}
	for _, f := range files {
		found[f.name+" in "+f.endpoint] = string(f.data)
	}
	assert.Equal(t, map[string]string{
		"apps/a/d.yaml in a": deployment("a"), "apps/a/link.yaml in a": "", "apps/b/with space ü.yaml in b": service, "apps/c/x.txt in c": "",
	}, found)

	_, err = atBase(context.Background(), "origin/gone", []string{"a"})
	assert.EqualError(t, err, "read a at origin/gone: there is no such commit: fetch it first, as with git fetch origin origin/gone")
	_, err = atBase(context.Background(), "--help", []string{"a"})
	assert.ErrorContains(t, err, "there is no such commit")
	t.Chdir(t.TempDir())
	_, err = atBase(context.Background(), "main", []string{"."})
	assert.ErrorContains(t, err, "--base needs a Git checkout")
}

func TestABaseThatCannotBeReadFails(t *testing.T) {
	t.Chdir(folder(t, oneDeployment))
	r := checkAt(t, Options{Paths: []string{"."}, Base: "main"}, nil)
	assert.False(t, r.Passed)
	assert.Equal(t, RuleBase, r.Findings[0].Rule)
}

func TestMoreThanTheQuotaFails(t *testing.T) {
	files := map[string]string{}
	for i := range 11 {
		files[fmt.Sprintf("apps/a%d/d.yaml", i)] = deployment(fmt.Sprintf("d%d", i))
	}
	dir := folder(t, files)
	repository(t, dir)
	t.Chdir(dir)
	r := checkAt(t, Options{Paths: []string{"apps"}, Base: "main"}, nil)
	require.Len(t, r.Findings, 1)
	assert.Equal(t, RuleQuota, r.Findings[0].Rule)
	assert.Contains(t, r.Findings[0].Message, "count/deployments.apps by 1")
	assert.False(t, r.Passed)
}
