package workflows

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// neuroscale stands in for the command line: what it says and returns is in
// files beside it, by output format.
const neuroscale = `#!/usr/bin/env bash
here=$(cd "$(dirname "$0")" && pwd)
echo "$*" >>"$here/calls"
while [ $# -gt 1 ] && [ "$1" != -o ]; do shift; done
[ ! -e "$here/$2.out" ] || cat "$here/$2.out"
[ ! -e "$here/$2.err" ] || cat "$here/$2.err" >&2
[ ! -e "$here/$2.code" ] || exit "$(cat "$here/$2.code")"
`

// checkout is a repository with two commits and a stand-in for the program.
type checkout struct {
	t        *testing.T
	dir, tmp string
	env      []string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	c := &checkout{t: t, tmp: t.TempDir()}
	c.dir = filepath.Join(c.tmp, "main")
	write(t, filepath.Join(c.dir, "bin", "neuroscale"), neuroscale, 0o755)
	write(t, filepath.Join(c.dir, "Pulumi.cloud.example.yaml"), "of a cloud\n", 0o644)
	write(t, filepath.Join(c.dir, ".gitignore"), "/bin/\n/report/\n", 0o644)
	write(t, filepath.Join(c.dir, "Makefile"), "bin/neuroscale:\n\tmkdir -p bin && cp ../main/bin/neuroscale bin/ && cp ../base.* bin/\n", 0o644)
	for _, script := range []string{
		"git init -q -b main . && git config user.name a && git config user.email a@example.org",
		"git add . && git commit -qm one && git commit -qm two --allow-empty",
	} {
		out, err := bash(script, c.dir, c.tmp).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	c.env = []string{"GITHUB_STEP_SUMMARY=" + filepath.Join(c.tmp, "summary"), "GITHUB_OUTPUT=" + filepath.Join(c.tmp, "output")}
	return c
}

// says sets what the stand-in does when asked for a format.
func (c *checkout) says(format, out, err, code string) {
	for suffix, text := range map[string]string{"out": out, "err": err, "code": code} {
		write(c.t, filepath.Join(c.dir, "bin", format+"."+suffix), text, 0o644)
	}
}

func (c *checkout) run(script string, env ...string) int {
	c.t.Helper()
	out, err := bash(script, c.dir, c.tmp, append(c.env, env...)...).CombinedOutput()
	c.t.Logf("%s", out)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(c.t, err)
	return 0
}

// file is the content of a file, empty if there is none.
func (c *checkout) file(parts ...string) string {
	text, err := os.ReadFile(filepath.Join(append([]string{c.tmp}, parts...)...))
	if err != nil && !os.IsNotExist(err) {
		require.NoError(c.t, err)
	}
	return string(text)
}

func TestTheGuardStepFailsWhenGuardDoes(t *testing.T) {
	step := script(t, "guard.yml", "guard", "Guard")
	const marker = "<!-- neuroscale-guard -->\n"
	for name, c := range map[string]struct {
		setup   func(*checkout)
		code    int
		comment string
		sarif   bool
	}{
		"all is well": {
			setup: func(c *checkout) {
				c.says("markdown", marker+"fine\n", "", "0")
				c.says("sarif", "{}", "", "0")
			},
			comment: marker + "fine\n", sarif: true,
		},
		"refused": {
			setup: func(c *checkout) {
				c.says("markdown", marker+"3 refused\n", "neuroscale: 3 refused\n", "1")
				c.says("sarif", "{}", "neuroscale: 3 refused\n", "1")
			},
			code: 1, comment: marker + "3 refused\n", sarif: true,
		},
		"only the findings fail": {
			setup: func(c *checkout) {
				c.says("markdown", marker+"fine\n", "", "0")
				c.says("sarif", "", "neuroscale: boom\n", "1")
			},
			code: 1, comment: marker + "fine\n",
		},
		"it could not check": {
			setup: func(c *checkout) { c.says("markdown", "", "neuroscale: no kubectl-kyverno\n", "1") },
			code:  1, comment: marker + "### Guard\n\nIt could not check anything:\n\n```\nneuroscale: no kubectl-kyverno\n```\n",
		},
		"it says nothing and succeeds": {
			setup: func(c *checkout) { c.says("markdown", "", "", "0") },
			code:  1, comment: marker + "### Guard\n\nIt could not check anything:\n\n```\n```\n",
		},
		"it crashes": {
			setup: func(c *checkout) {
				c.says("markdown", marker+"half\n", "", "137")
				c.says("sarif", "{}", "", "0")
			},
			code: 137, comment: marker + "half\n", sarif: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCheckout(t)
			c.setup(r)
			assert.Equal(t, c.code, r.run(step, "EVENT=pull_request", "BEFORE="))
			assert.Equal(t, c.comment, r.file("main", "report", "comment.md"), "the comment is there in any case")
			assert.Equal(t, c.comment, r.file("summary"))
			assert.Equal(t, c.sarif, strings.Contains(r.file("output"), "sarif=true"))
			assert.Contains(t, r.file("main", "bin", "calls"), "guard gitops/apps --base HEAD^1 -o markdown\n")
		})
	}
	t.Run("the program is not there", func(t *testing.T) {
		r := newCheckout(t)
		require.NoError(t, os.Remove(filepath.Join(r.dir, "bin", "neuroscale")))
		assert.NotZero(t, r.run(step, "EVENT=pull_request", "BEFORE="))
		assert.Contains(t, r.file("main", "report", "comment.md"), "It could not check anything")
	})
}

func TestAPushIsComparedWithWhatWasBefore(t *testing.T) {
	step := script(t, "guard.yml", "guard", "Guard")
	for name, before := range map[string]string{
		"first push": "0000000000000000000000000000000000000000", "no commit": "", "a commit": "HEAD^1",
	} {
		t.Run(name, func(t *testing.T) {
			r := newCheckout(t)
			r.says("markdown", "fine\n", "", "0")
			r.says("sarif", "{}", "", "0")
			assert.Zero(t, r.run(step, "EVENT=push", "BEFORE="+before))
			want := "guard gitops/apps -o markdown\nguard gitops/apps -o sarif\n"
			if name == "a commit" {
				want = strings.ReplaceAll(want, " -o ", " --base HEAD^1 -o ")
			}
			assert.Equal(t, want, r.file("main", "bin", "calls"))
		})
	}
}

func TestThePreviewStepComparesWithTheBase(t *testing.T) {
	step := script(t, "preview.yml", "preview", "Preview")
	const marker, stacks = "<!-- neuroscale-preview -->\n", "STACKS=ci cloud"
	// base is what the program of the base does; it is built in its own folder.
	base := func(c *checkout, code string) {
		write(c.t, filepath.Join(c.tmp, "base.out"), "{}\n", 0o644)
		write(c.t, filepath.Join(c.tmp, "base.code"), code, 0o644)
	}
	step = strings.Replace(step, "make -C ../base bin/neuroscale", "make -C ../base bin/neuroscale && "+
		"mv ../base/bin/base.out ../base/bin/json.out && mv ../base/bin/base.code ../base/bin/json.code", 1)

	r := newCheckout(t)
	base(r, "0")
	r.says("markdown", marker+"1 to create\n", "", "0")
	assert.Zero(t, r.run(step, stacks))
	assert.Equal(t, "preview -s ci -o markdown --base report/base-ci.json\npreview -s cloud -o markdown --base report/base-cloud.json\n",
		r.file("main", "bin", "calls"))
	assert.Equal(t, "-C ../base preview -s ci -o json\n-C ../base preview -s cloud -o json\n", r.file("base", "bin", "calls"))
	assert.Equal(t, marker+"1 to create\n\n1 to create\n\n", r.file("main", "report", "comment.md"), "the comment is found again by its first line")
	assert.Equal(t, r.file("main", "report", "comment.md"), r.file("summary"))
	assert.Equal(t, "of a cloud\n", r.file("main", "Pulumi.cloud.yaml"))
	assert.Equal(t, "of a cloud\n", r.file("base", "Pulumi.cloud.yaml"))

	r = newCheckout(t)
	base(r, "1")
	r.says("markdown", marker+"130 to create\n", "", "0")
	assert.Zero(t, r.run(step, stacks), "a broken base is not this change's fault")
	assert.Equal(t, "preview -s ci -o markdown\npreview -s cloud -o markdown\n", r.file("main", "bin", "calls"))

	r = newCheckout(t)
	r.says("markdown", marker+"130 to create\n", "", "0")
	assert.Zero(t, r.run(strings.Replace(step, "make -C ../base bin/neuroscale", "false", 1), stacks), "nor is one that does not compile")
	assert.Empty(t, r.file("base", "bin", "calls"))

	r = newCheckout(t)
	base(r, "0")
	r.says("markdown", "", "neuroscale: unknown key\n", "1")
	assert.Equal(t, 1, r.run(step, stacks))
	for _, stack := range []string{"ci", "cloud"} {
		assert.Contains(t, r.file("main", "report", "comment.md"),
			"### Preview of stack `"+stack+"`\n\nThere is none:\n\n```\nneuroscale: unknown key\n```\n", "what follows is not shown")
	}
	assert.True(t, strings.HasPrefix(r.file("main", "report", "comment.md"), marker))
}

// gh stands in for GitHub's command line: answers are JSON files by path, what it
// was told to write is kept.
const gh = `#!/usr/bin/env bash
set -euo pipefail
if [ "$1" = run ]; then
  echo "$*" >>"$GITHUB/calls"
  mkdir -p "${@: -1}" && cp "$GITHUB"/artifact/* "${@: -1}"
  exit
fi
method=GET path= filter=. body=
while shift && [ $# -gt 0 ]; do
  case $1 in
  --method) method=$2; shift ;;
  --jq) filter=$2; shift ;;
  -F) body=${2#body=@}; shift ;;
  -f) shift ;;
  -*) ;;
  *) path=$1 ;;
  esac
done
if [ "$method" = GET ]; then
  "$GITHUB/../jq" -r "$filter" "$GITHUB/${path//\//-}.json"
else
  echo "$method $path" >>"$GITHUB/calls"
  cat "$body" >"$GITHUB/body"
fi
`

func TestTheCommentIsPostedOnceAndThenUpdated(t *testing.T) {
	// GitHub's command line has this one built in.
	jq := filepath.Join(t.TempDir(), "jq")
	out, err := exec.Command("go", "build", "-modfile="+filepath.Join(root, "tools", "go.mod"), "-o", jq, "github.com/itchyny/gojq/cmd/gojq").CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := filepath.Abs(filepath.Join(root, ".github", "comment"))
	require.NoError(t, err)
	const (
		marker   = "<!-- neuroscale-guard -->\n"
		footer   = "\n\n---\n[guard: **failure** for abcdefabcdef](https://github.test/runs/7)\n"
		open     = `[{"number":3,"head":{"sha":"abcdefabcdefabcd"}},{"number":4,"head":{"sha":"other"}}]`
		there    = `{"artifacts":[{"name":"other","expired":false},{"name":"guard-report","expired":false}]}`
		ours     = `{"id":12,"user":{"login":"github-actions[bot]"},"body":"<!-- neuroscale-guard -->\nold"}`
		previews = `{"id":13,"user":{"login":"github-actions[bot]"},"body":"<!-- neuroscale-preview -->\nold"}`
		copied   = `{"id":11,"user":{"login":"somebody"},"body":"<!-- neuroscale-guard -->\nfaked"}`
	)
	long := marker + strings.Repeat(strings.Repeat("ü", 50)+"\n", 1000)
	for name, c := range map[string]struct {
		pulls, artifacts, comments, report string
		code                               int
		calls, body                        string
	}{
		"first report": {
			pulls: open, artifacts: there, comments: "[" + copied + "," + previews + "]", report: marker + "3 refused\n",
			calls: "POST repos/o/r/issues/3/comments\n", body: marker + "3 refused\n" + footer,
		},
		"next report": {
			pulls: open, artifacts: there, comments: "[" + copied + "," + previews + "," + ours + "]", report: marker + "fine\n",
			calls: "PATCH repos/o/r/issues/comments/12\n", body: marker + "fine\n" + footer,
		},
		"no report": {
			pulls: open, artifacts: `{"artifacts":[{"name":"guard-report","expired":true}]}`, comments: "[" + ours + "]",
			calls: "PATCH repos/o/r/issues/comments/12\n", body: marker + "### guard\n\nIt ended before there was a report.\n" + footer,
		},
		"report that is somebody else's": {
			pulls: open, artifacts: there, comments: "[]", report: "<!-- neuroscale-preview -->\nall fine\n", code: 1,
		},
		"report of an old commit": {pulls: `[{"number":4,"head":{"sha":"other"}}]`, artifacts: there, comments: "[]", report: marker},
		"pull request is closed":  {pulls: `[]`, artifacts: there, comments: "[]", report: marker},
		"report longer than a comment": {
			pulls: open, artifacts: there, comments: "[]", report: long,
			calls: "POST repos/o/r/issues/3/comments\n", body: long[:len(marker)+101*593] + footer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCheckout(t)
			hub := filepath.Join(r.tmp, "hub")
			write(t, filepath.Join(r.tmp, "gh"), gh, 0o755)
			require.NoError(t, os.Symlink(jq, filepath.Join(r.tmp, "jq")))
			write(t, filepath.Join(hub, "repos-o-r-pulls.json"), c.pulls, 0o644)
			write(t, filepath.Join(hub, "repos-o-r-actions-runs-7-artifacts.json"), c.artifacts, 0o644)
			write(t, filepath.Join(hub, "repos-o-r-issues-3-comments.json"), c.comments, 0o644)
			write(t, filepath.Join(hub, "artifact", "comment.md"), c.report, 0o644)
			code := r.run(program, "GITHUB="+hub, "GH_TOKEN=t", "REPOSITORY=o/r", "WORKFLOW=guard", "RUN_ID=7",
				"RUN_URL=https://github.test/runs/7", "CONCLUSION=failure", "HEAD_OWNER=o", "HEAD_BRANCH=b", "HEAD_SHA=abcdefabcdefabcd")
			assert.Equal(t, c.code, code)
			var posted []string
			for line := range strings.Lines(r.file("hub", "calls")) {
				if !strings.HasPrefix(line, "run download ") {
					posted = append(posted, line)
				}
			}
			assert.Equal(t, c.calls, strings.Join(posted, ""))
			assert.Equal(t, c.body, r.file("hub", "body"))
		})
	}
	t.Run("something is not told", func(t *testing.T) {
		assert.NotZero(t, newCheckout(t).run(program, "GH_TOKEN=t", "REPOSITORY=o/r", "WORKFLOW="))
	})
}
