package manual

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// made is a manual of one README.
func made(t *testing.T, readme string) (*Manual, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs", "adr"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docs", "adr", "1.md"), []byte("```text\nmore\n```\n"), 0o644))
	return Read(dir)
}

func TestCommandsAreFoundWhereverAShellRunsThem(t *testing.T) {
	m, err := made(t, "# Title\n"+
		"Say `make up STACK=ci`, `KUBECONFIG=... bin/neuroscale up -s ci` or `neuroscale guard PATH... [--base REF]`, not `make` or `up`.\n"+
		"```sh\n"+
		"eval \"$(bin/sealed env)\"   # the node's\n"+
		"cd x && bin/neuroscale predict a --data '{\"b\": [1]}' \\\n  -o json | jq \"$X\"\n"+
		"```\n"+
		"```text\nbin/neuroscale says\n```\n## More\n```sh refused by rule\nmake x\n```\n")
	require.NoError(t, err)
	var got []string
	for _, c := range m.Commands {
		got = append(got, c.At+" "+strings.Join(c.Args, "|"))
		assert.Equal(t, strings.HasPrefix(c.At, "README.md:2"), c.Mention, c)
	}
	assert.Equal(t, []string{
		"README.md:2 make|up|STACK=ci", "README.md:2 bin/neuroscale|up|-s|ci", "README.md:2 neuroscale|guard|PATH|--base|REF",
		`README.md:3 eval|"$(bin/sealed env)"`, "README.md:3 bin/sealed|env", "README.md:3 cd|x",
		`README.md:3 bin/neuroscale|predict|a|--data|{"b": [1]}|-o|json`, `README.md:3 jq|"$X"`,
		"README.md:12 make|x",
	}, got)
	var sections []string
	for _, b := range m.Blocks {
		sections = append(sections, b.Section)
	}
	assert.Equal(t, []string{"Title", "Title", "More", ""}, sections)
	assert.Len(t, m.Of("neuroscale"), 3)
	assert.Equal(t, "docs/adr/1.md:1", m.Blocks[len(m.Blocks)-1].At)
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	_, err := made(t, "```sh\nmake up\n")
	require.EqualError(t, err, "README.md:1: this block has no end: close it with ```")
	_, err = made(t, "x\n```sh\necho 'a\n```\n")
	require.ErrorContains(t, err, "README.md:2: no shell understands this: ")
}

// A block of no kind is one that nobody checks.
func TestEveryBlockSaysWhatItIsFor(t *testing.T) {
	m, err := Read(root)
	require.NoError(t, err)
	require.NotEmpty(t, m.Blocks)
	for _, b := range m.Blocks {
		assert.Contains(t, []string{Shell, ShellRefused, Output, Diagram, Settings, Admitted, Refused}, b.Kind, b.At)
	}
}

var variable = regexp.MustCompile(`^([A-Z_]+)=`)

func TestEveryTargetOfTheManualIsOneOfTheMakefile(t *testing.T) {
	m, err := Read(root)
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	calls := m.Of("make")
	require.NotEmpty(t, calls)
	for _, c := range calls {
		assert.NoError(t, dryRun(string(makefile), c.Args[1:]), "%s: %s", c.At, strings.Join(c.Args, " "))
	}
	assert.ErrorContains(t, dryRun(string(makefile), []string{"upp"}), "No rule to make target 'upp'")
	assert.ErrorContains(t, dryRun(string(makefile), []string{"up", "STAK=ci"}), "the Makefile has no variable STAK")
}

func dryRun(makefile string, args []string) error {
	for _, arg := range args {
		if v := variable.FindStringSubmatch(arg); v != nil && !regexp.MustCompile(`(?m)^`+v[1]+`\s*[:?]?=`).MatchString(makefile) {
			return errors.New("the Makefile has no variable " + v[1])
		}
	}
	cmd := exec.Command("make", append([]string{"--dry-run", "-C", root}, args...)...)
	// A make that runs the tests hands its own settings down.
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}
