// Package workflows checks what GitHub runs for this repository.
package workflows

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// pinned is an action at a commit, with the version people know in a comment.
	pinned = regexp.MustCompile(`uses: [A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)
	// swallowed are ways for a script to go on as if nothing had failed.
	swallowed = regexp.MustCompile(`\|\|\s*(true|:|exit 0|echo)|set \+e|\bset \+o (errexit|pipefail)`)
	// floating are images and runners that change by themselves.
	floating = regexp.MustCompile(`latest|^[^:@]+$`)
)

// check lists what is wrong with a workflow, by actionlint and by the rules of
// this repository. writes are the permissions to write that are meant, as
// "job scope".
func check(t *testing.T, file string, text []byte, writes ...string) []string {
	t.Helper()
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Color: actionlint.ColorOptionKindNever})
	require.NoError(t, err)
	found, err := linter.Lint(file, text, nil)
	require.NoError(t, err)
	c := &checker{lines: strings.Split(string(text), "\n"), writes: writes}
	for _, e := range found {
		c.add(e.Line, "actionlint: %s", e.Message)
	}
	if w, _ := actionlint.Parse(text); w != nil {
		c.workflow(w)
	}
	for _, grant := range c.writes {
		c.add(0, "permission %q is allowed but not asked for", grant)
	}
	return c.problems
}

type checker struct {
	lines    []string
	writes   []string
	problems []string
	// trusted is set in a workflow whose token may write although strangers can
	// start it.
	trusted bool
}

func (c *checker) add(line int, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

func (c *checker) workflow(w *actionlint.Workflow) {
	for _, event := range w.On {
		switch event.EventName() {
		case "pull_request_target":
			c.add(1, "pull_request_target runs a stranger's change with a token that can write: use workflow_run")
		case "workflow_run":
			c.trusted = true
		}
	}
	if w.Permissions == nil || w.Permissions.All != nil || len(w.Permissions.Scopes) > 0 {
		c.add(1, "the workflow's permissions have to be {}, jobs ask for theirs")
	}
	if w.Concurrency == nil {
		c.add(1, "the workflow has no concurrency group")
	}
	if w.Defaults == nil || w.Defaults.Run == nil || w.Defaults.Run.Shell == nil || w.Defaults.Run.Shell.Value != "bash" {
		c.add(1, "defaults.run.shell has to be bash: without it a failure inside a pipe is no failure")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
		c.job(name, w.Jobs[name])
	}
}

func (c *checker) job(name string, job *actionlint.Job) {
	if job.TimeoutMinutes == nil {
		c.add(job.Pos.Line, "job %s has no timeout-minutes", name)
	}
	if job.ContinueOnError != nil {
		c.add(job.Pos.Line, "job %s has continue-on-error", name)
	}
	c.permissions(name, job)
	if job.RunsOn != nil {
		for _, label := range job.RunsOn.Labels {
			if strings.Contains(label.Value, "latest") {
				c.add(job.Pos.Line, "job %s runs on %s, which changes by itself", name, label.Value)
			}
		}
	}
	if job.Container != nil && floating.MatchString(job.Container.Image.Value) {
		c.add(job.Container.Pos.Line, "image %s of job %s has no fixed version", job.Container.Image.Value, name)
	}
	if job.WorkflowCall != nil {
		c.uses(job.WorkflowCall.Uses)
	}
	for _, step := range job.Steps {
		c.step(name, step)
	}
}

func (c *checker) permissions(name string, job *actionlint.Job) {
	switch {
	case job.Permissions == nil:
		c.add(job.Pos.Line, "job %s declares no permissions", name)
	case job.Permissions.All != nil:
		c.add(job.Pos.Line, "job %s asks for %s", name, job.Permissions.All.Value)
	default:
		for _, scope := range slices.Sorted(maps.Keys(job.Permissions.Scopes)) {
			if job.Permissions.Scopes[scope].Value.Value != "write" {
				continue
			}
			i := slices.Index(c.writes, name+" "+scope)
			if i < 0 {
				c.add(job.Pos.Line, "job %s can write %s", name, scope)
				continue
			}
			c.writes = slices.Delete(slices.Clone(c.writes), i, i+1)
		}
	}
}

func (c *checker) step(job string, step *actionlint.Step) {
	if step.ContinueOnError != nil {
		c.add(step.Pos.Line, "a step of job %s has continue-on-error", job)
	}
	switch exec := step.Exec.(type) {
	case *actionlint.ExecAction:
		c.uses(exec.Uses)
		if !strings.HasPrefix(exec.Uses.Value, "actions/checkout@") {
			return
		}
		if input := exec.Inputs["persist-credentials"]; input == nil || input.Value.Value != "false" {
			c.add(step.Pos.Line, "a checkout of job %s leaves its token behind: set persist-credentials to false", job)
		}
		if c.trusted {
			for _, input := range []string{"ref", "repository", "allow-unsafe-pr-checkout"} {
				if exec.Inputs[input] != nil {
					c.add(step.Pos.Line, "job %s checks out %s with a token that can write", job, input)
				}
			}
		}
	case *actionlint.ExecRun:
		if strings.Contains(exec.Run.Value, "${{") {
			c.add(step.Pos.Line, "a script of job %s has an expression in it: hand it over in env", job)
		}
		if found := swallowed.FindString(exec.Run.Value); found != "" {
			c.add(step.Pos.Line, "a script of job %s hides failures by %q", job, found)
		}
		if exec.Shell != nil {
			c.add(step.Pos.Line, "a step of job %s has a shell of its own", job)
		}
	}
}

func (c *checker) uses(uses *actionlint.String) {
	line := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(c.lines[uses.Pos.Line-1]), "- "))
	if !pinned.MatchString(line) || !strings.HasPrefix(line, "uses: "+uses.Value+" ") {
		c.add(uses.Pos.Line, "%s is not pinned as OWNER/NAME@COMMIT # vX.Y.Z", uses.Value)
	}
}

const good = `name: check
on:
  pull_request:
permissions: {}
concurrency:
  group: check-${{ github.ref }}
defaults:
  run:
    shell: bash
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
    container:
      image: debian:12.11
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - name: Test
        env:
          TITLE: ${{ github.event.pull_request.title }}
        run: make test
`

func TestTheChecksFindWhatTheyAreFor(t *testing.T) {
	require.Empty(t, check(t, "good.yml", []byte(good)))
	for name, c := range map[string]struct{ from, to, want string }{
		"tag instead of a commit": {
			"checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "checkout@v7 # v7.0.1", "is not pinned",
		},
		"branch": {"checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "checkout@main", "is not pinned"},
		"short commit": {
			"checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "checkout@3d3c42e", "is not pinned",
		},
		"commit without its version":  {" # v7.0.1", "", "is not pinned"},
		"commit with a floating name": {" # v7.0.1", " # v7", "is not pinned"},
		"image as an action": {
			"actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1\n        with:\n          persist-credentials: false",
			"docker://alpine:3", "is not pinned",
		},
		"no permissions":          {"permissions: {}\n", "", "permissions have to be {}"},
		"permissions for all":     {"permissions: {}\n", "permissions: read-all\n", "permissions have to be {}"},
		"one for all":             {"permissions: {}\n", "permissions:\n  contents: read\n", "permissions have to be {}"},
		"job without permissions": {"    permissions:\n      contents: read\n", "", "declares no permissions"},
		"job that may all": {
			"    permissions:\n      contents: read\n", "    permissions: write-all\n", "asks for write-all",
		},
		"job that may write":          {"contents: read", "contents: write", "can write contents"},
		"stranger's change, trusted":  {"pull_request:\n", "pull_request_target:\n", "pull_request_target"},
		"step whose failure is fine":  {"run: make test", "run: make test\n        continue-on-error: true", "continue-on-error"},
		"job whose failure is fine":   {"    timeout-minutes: 5", "    timeout-minutes: 5\n    continue-on-error: true", "continue-on-error"},
		"or true":                     {"make test", "make test || true", "hides failures"},
		"or nothing":                  {"run: make test", "run: |\n          make test ||:", "hides failures"},
		"or success":                  {"make test", "make test || exit 0", "hides failures"},
		"or a message":                {"make test", "make test || echo failed", "hides failures"},
		"errors switched off":         {"run: make test", "run: |\n          set +e\n          make test", "hides failures"},
		"no timeout":                  {"    timeout-minutes: 5\n", "", "no timeout-minutes"},
		"no concurrency":              {"concurrency:\n  group: check-${{ github.ref }}\n", "", "no concurrency group"},
		"token left behind":           {"persist-credentials: false", "fetch-depth: 1", "leaves its token behind"},
		"token left behind on demand": {"persist-credentials: false", "persist-credentials: true", "leaves its token behind"},
		"script with a title in it":   {"make test", "echo ${{ github.event.pull_request.title }}", "potentially untrusted"},
		"script with a number in it":  {"make test", "echo ${{ github.run_id }}", "hand it over in env"},
		"pipes without pipefail":      {"defaults:\n  run:\n    shell: bash\n", "", "defaults.run.shell"},
		"another shell":               {"run: make test", "run: make test\n        shell: sh", "shell of its own"},
		"runner that changes":         {"ubuntu-24.04", "ubuntu-latest", "changes by itself"},
		"image that changes":          {"debian:12.11", "debian:latest", "no fixed version"},
		"image without a version":     {"debian:12.11", "debian", "no fixed version"},
		"checkout of a stranger's change after the fact": {
			"  pull_request:\n", "  workflow_run:\n    workflows: [guard]\n", "",
		},
		"unknown key": {"    timeout-minutes: 5", "    timeout-minuts: 5", "actionlint: unexpected key"},
		"no YAML":     {"jobs:", "jobs: [", "actionlint: "},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(good, c.from), "%q has to be there once", c.from)
			text := strings.Replace(good, c.from, c.to, 1)
			problems := strings.Join(check(t, "bad.yml", []byte(text)), "\n")
			if c.want == "" {
				assert.Empty(t, problems, "by itself that is allowed")
				text = strings.Replace(text, "persist-credentials: false", "persist-credentials: false\n          ref: ${{ github.event.workflow_run.head_sha }}", 1)
				problems, c.want = strings.Join(check(t, "bad.yml", []byte(text)), "\n"), "checks out ref with a token"
			}
			assert.Contains(t, problems, c.want)
		})
	}
	assert.Empty(t, check(t, "writes.yml", []byte(strings.Replace(good, "contents: read", "issues: write", 1)), "one issues"))
	assert.NotEmpty(t, check(t, "good.yml", []byte(good), "one issues"), "a permission that is not used any more")
}
