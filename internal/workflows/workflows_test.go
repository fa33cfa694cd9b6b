package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// writes are the only permissions to write, by file.
var writes = map[string][]string{
	"comment.yml": {"comment pull-requests"},
	"guard.yml":   {"code-scanning security-events"},
	"release.yml": {"publish attestations", "publish contents", "publish id-token", "publish packages"},
}

func files(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	require.NoError(t, err)
	return all
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	require.NoError(t, err)
	return string(text)
}

func parse(t *testing.T, name string) *actionlint.Workflow {
	t.Helper()
	w, errs := actionlint.Parse([]byte(read(t, ".github", "workflows", name)))
	require.Empty(t, errs)
	return w
}

// script is the text of the step of that name.
func script(t *testing.T, workflow, job, step string) string {
	t.Helper()
	require.Contains(t, parse(t, workflow).Jobs, job)
	for _, s := range parse(t, workflow).Jobs[job].Steps {
		if run, ok := s.Exec.(*actionlint.ExecRun); ok && s.Name != nil && s.Name.Value == step {
			return run.Run.Value
		}
	}
	t.Fatalf("%s has no step %q in job %s", workflow, step, job)
	return ""
}

func TestTheWorkflowsKeepTheRules(t *testing.T) {
	var names []string
	for _, file := range files(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		name := filepath.Base(file)
		names = append(names, name)
		assert.Empty(t, check(t, name, text, writes[name]...), name)
	}
	assert.Equal(t, []string{"comment.yml", "guard.yml", "preview.yml", "release.yml", "test.yml"}, names)
}

// scripts are all that is run, by where it stands.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{".github/comment": read(t, ".github", "comment")}
	for _, file := range files(t) {
		for name, job := range parse(t, filepath.Base(file)).Jobs {
			for _, step := range job.Steps {
				if run, ok := step.Exec.(*actionlint.ExecRun); ok {
					all[filepath.Base(file)+" "+name+" "+step.Pos.String()] = run.Run.Value
				}
			}
		}
	}
	require.Greater(t, len(all), 8)
	return all
}

func TestTheScriptsAreBash(t *testing.T) {
	for name, text := range scripts(t) {
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s: %s", name, out)
	}
	assert.NotRegexp(t, swallowed, read(t, ".github", "comment"))
}

// What a workflow names has to be there, under that name and in that version.
func TestTheWorkflowsNameWhatThereIs(t *testing.T) {
	images := read(t, "sealed", "internal", "images", "images.yaml")
	makefile := read(t, "Makefile")
	build := script(t, "guard.yml", "guard", "Build the Kyverno CLI")
	assert.Contains(t, build, "sealed images kyverno-cli")
	assert.Regexp(t, `(?m)^  - name: kyverno-cli\n    upstream: kyverno\n    tool: \[kubectl-kyverno\]`, images)

	targets := 0
	for where, text := range scripts(t) {
		for _, m := range regexp.MustCompile(`\bmake (?:-C \S+ )?([a-z/-]+)`).FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `(?m)^`+regexp.QuoteMeta(m[1])+`:`, makefile, "%s calls make %s", where, m[1])
			targets++
		}
	}
	assert.GreaterOrEqual(t, targets, 6)
	for _, file := range files(t) {
		text := read(t, ".github", "workflows", filepath.Base(file))
		for _, m := range regexp.MustCompile(`go-version: (\S+)`).FindAllStringSubmatch(text, -1) {
			minor := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
			assert.Equal(t, minor+".x", m[1], "the newest patch release of go.mod's version")
		}
	}

	pulumi := regexp.MustCompile(`module: github.com/pulumi/pulumi/pkg/v3\n    version: v(\S+)`).FindStringSubmatch(images)
	require.NotNil(t, pulumi)
	assert.Contains(t, read(t, ".github", "workflows", "preview.yml"), "pulumi-version: "+pulumi[1]+"\n",
		"the Pulumi that the sealed machine is tested with")

	on := parse(t, "comment.yml").On
	require.Len(t, on, 1)
	var followed []string
	for _, w := range on[0].(*actionlint.WebhookEvent).Workflows {
		followed = append(followed, w.Value)
	}
	assert.Equal(t, []string{"guard", "preview"}, followed)
	for _, name := range followed {
		assert.Equal(t, name, parse(t, name+".yml").Name.Value, "comments follow the workflow of that name")
		assert.Contains(t, read(t, ".github", "workflows", name+".yml"), "          name: "+name+"-report\n")
	}
}

func TestThePluginsAreReadFromGoMod(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pulumi"), "#!/bin/sh\necho \"$@\"\n", 0o755)
	text := script(t, "preview.yml", "preview", "Install the provider plugins of go.mod")
	cmd := bash(text, root, dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	var wanted []string
	for _, m := range regexp.MustCompile(`github.com/pulumi/pulumi-([a-z]+)/sdk/v\d+ (v\S+)`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		wanted = append(wanted, "plugin install resource "+m[1]+" "+m[2])
	}
	require.NotEmpty(t, wanted)
	slices.Sort(wanted)
	assert.Equal(t, strings.Join(wanted, "\n")+"\n", string(out))

	write(t, filepath.Join(dir, "pulumi"), "#!/bin/sh\nexit 3\n", 0o755)
	assert.Error(t, bash(text, root, dir).Run(), "a plugin that cannot be installed")
	write(t, filepath.Join(dir, "go"), "#!/bin/sh\necho example.org/none v1\n", 0o755)
	assert.Error(t, bash(text, root, dir).Run(), "no plugins are no success")
}

// bash runs a script as GitHub does with `shell: bash`; path is looked in first.
func bash(script, dir, path string, env ...string) *exec.Cmd {
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), mode))
}
