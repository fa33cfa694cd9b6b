package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// code is what stands between fences or in the middle of a sentence.
	code   = regexp.MustCompile("(?s)```sh[^\n]*\n.*?\n```|`[^`\n]+`")
	remark = regexp.MustCompile(`(?m)\s#.*$`)
	call   = regexp.MustCompile(`(?:^|[\s"'(/` + "`" + `])sealed((?: +[A-Za-z0-9=./_-]+)+)`)
)

// dry is everything of a command line but its run.
func dry(args []string) error {
	cmd, rest, err := root().Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// documented are the calls of this program in the README and docs/.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	repository := filepath.Join("..", "..", "..")
	calls := map[string][]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			commands := remark.ReplaceAllString(strings.Join(code.FindAllString(string(text), -1), "\n"), "")
			for i, found := range call.FindAllStringSubmatch(commands, -1) {
				calls[fmt.Sprintf("%s, call %d", filepath.Base(file), i+1)] = strings.Fields(found[1])
			}
		}
	}
	return calls
}

func TestEveryCommandOfTheManualWorks(t *testing.T) {
	calls := documented(t)
	assert.Greater(t, len(calls), 5)
	for at, args := range calls {
		assert.NoErrorf(t, dry(args), "%s: sealed %s", at, strings.Join(args, " "))
	}
}

// tree is a command with all below it.
func tree(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, tree(c)...)
	}
	return all
}

func TestEveryCommandHasAnExampleThatWorks(t *testing.T) {
	root := root()
	for _, cmd := range tree(root) {
		if cmd.Hidden {
			continue
		}
		lines := strings.Split(cmd.Example, "\n")
		assert.NotEmptyf(t, cmd.Example, "%s has no Example", cmd.CommandPath())
		for _, line := range lines {
			found := call.FindStringSubmatch(line)
			if assert.NotNilf(t, found, "%s: %q is no call of sealed", cmd.CommandPath(), line) {
				args := strings.Fields(found[1])
				assert.NoErrorf(t, dry(args), "%s: %s", cmd.CommandPath(), line)
				assert.Truef(t, cmd == root || args[0] == cmd.Name(), "%s shows another command: %s", cmd.CommandPath(), line)
			}
		}
	}
}

func TestACommandThatDoesNotExistIsFound(t *testing.T) {
	for line, want := range map[string]string{
		"restart":       `unknown command "restart" for "sealed"`,
		"up --fast":     "unknown flag: --fast",
		"down now":      `unknown command "now" for "sealed down"`,
		"logs a b":      "accepts at most 1 arg(s), received 2",
		"up --name":     "flag needs an argument: --name",
		"images --some": "unknown flag: --some",
	} {
		assert.ErrorContains(t, dry(strings.Fields(line)), want, line)
	}
}
