package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/bench"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/manual"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// repository is the checkout these tests are part of.
var repository = filepath.Join("..", "..")

func readManual(t *testing.T) *manual.Manual {
	t.Helper()
	m, err := manual.Read(repository)
	require.NoError(t, err)
	return m
}

// dry is everything of a command line but its run: the command, its flags, its
// arguments, and what these name. Only the name of a command is no mistake where
// it is spoken of.
func dry(args []string, mention bool) error {
	a := &app{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	root := a.root()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return flagError(cmd, err)
	}
	args = cmd.Flags().Args()
	if len(args) > 0 || !mention {
		if err := cmd.ValidateArgs(args); err != nil {
			return err
		}
	}
	if cmd.PreRunE != nil {
		if err := cmd.PreRunE(cmd, args); err != nil {
			return err
		}
	}
	a.dir = repository
	if a.stack == copied {
		a.stack = "ci"
	}
	if _, err := a.project(); err != nil {
		return err
	}
	switch cmd.Name() {
	case "render":
		layers, err := a.layers()
		if err == nil && len(args) > 0 && !slices.Contains(layers.Names(), args[0]) {
			err = fmt.Errorf("unknown layer %q", args[0])
		}
		return err
	case "bench":
		only, err := cmd.Flags().GetStringSlice("only")
		if err == nil {
			_, err = bench.Select(only, bench.Has{Sealed: cmd.Flags().Changed("sealed"), Portal: true})
		}
		return err
	}
	return nil
}

// copied is the stack that docs/cloud.md has people make first, of the example.
const copied = "cloud"

func TestEveryCommandOfTheManualWorks(t *testing.T) {
	calls := readManual(t).Of("neuroscale")
	require.NotEmpty(t, calls)
	for _, c := range calls {
		assert.NoErrorf(t, dry(c.Args[1:], c.Mention), "%s: %s", c.At, strings.Join(c.Args, " "))
	}
}

func TestACommandThatDoesNotExistIsFound(t *testing.T) {
	for line, want := range map[string]string{
		"restart":                      `unknown command "restart"`,
		"up --fast":                    "unknown flag: --fast",
		"up -s prod":                   `no stack "prod"`,
		"predict a b":                  "predict takes 1 argument(s)",
		"preview -o xml":               "-o xml is unknown",
		"guard":                        "guard needs at least one PATH",
		"bench --only drift,drifd":     "--only drifd is unknown",
		"render knativ":                `unknown layer "knativ"`,
		"predict demo --timeout 5 min": "invalid argument",
	} {
		assert.ErrorContains(t, dry(strings.Fields(line), false), want, line)
	}
	assert.NoError(t, dry([]string{"guard"}, true), "a name in a sentence")
	assert.Error(t, dry([]string{"predict", "a", "b"}, true))
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
	root := (&app{getenv: func(string) string { return "" }}).root()
	for _, cmd := range tree(root) {
		calls, err := manual.Commands(cmd.CommandPath(), cmd.Example)
		require.NoError(t, err)
		assert.NotEmptyf(t, calls, "%s has no Example", cmd.CommandPath())
		for _, c := range calls {
			line := strings.Join(c.Args, " ")
			assert.Truef(t, strings.HasPrefix(line+" ", cmd.CommandPath()+" "), "%s shows another command: %s", c.At, line)
			assert.NoErrorf(t, dry(c.Args[1:], false), "%s: %s", c.At, line)
		}
	}
}

// tableBelow are the rows of the README's table with that head.
func tableBelow(t *testing.T, head string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	require.NoError(t, err)
	_, rows, found := strings.Cut(string(text), head)
	require.True(t, found, head)
	rows, _, _ = strings.Cut(rows, "\n\n")
	return rows
}

// The table's rows are how a command is called: [what may be left out], A|B.
func TestTheTableOfCommandsIsThatOfTheProgram(t *testing.T) {
	root := (&app{getenv: os.Getenv}).root()
	var rows, commands []string
	for row := range strings.Lines(tableBelow(t, "| command | does |\n|---|---|\n")) {
		usage := regexp.MustCompile("^\\| `([a-z]+( [a-z]+)*)([^`]*)`").FindStringSubmatch(row)
		require.NotNil(t, usage, row)
		rows = append(rows, "neuroscale "+usage[1])
		cmd, _, err := root.Find(strings.Fields(usage[1]))
		require.NoError(t, err)
		for _, flag := range regexp.MustCompile(`--?[a-z-]+`).FindAllString(usage[3], -1) {
			assert.NotNilf(t, flagOf(cmd, strings.TrimLeft(flag, "-")), "%s has no %s", usage[1], flag)
		}
	}
	for _, cmd := range tree(root)[1:] {
		commands = append(commands, cmd.CommandPath())
	}
	assert.ElementsMatch(t, commands, rows)
}

func TestTheTableOfRulesIsThatOfThePolicies(t *testing.T) {
	var rules, names []string
	for row := range strings.Lines(tableBelow(t, "| rule | asks for |\n|---|---|\n")) {
		first, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for rule := range strings.SplitSeq(first, ", ") {
			rules = append(rules, strings.Trim(rule, "`"))
		}
	}
	policies, err := policy.Load(gitops.FS)
	require.NoError(t, err)
	for _, p := range policies {
		names = append(names, p.Name)
	}
	assert.ElementsMatch(t, names, rules)
}

func flagOf(cmd *cobra.Command, name string) *pflag.Flag {
	if len(name) == 1 {
		return cmd.Flags().ShorthandLookup(name)
	}
	return cmd.Flags().Lookup(name)
}

func TestEverySettingOfTheManualIsTaken(t *testing.T) {
	seen := 0
	for _, b := range readManual(t).Blocks {
		if b.Kind != manual.Settings {
			continue
		}
		seen++
		values, err := settings([]byte(b.Text))
		require.NoError(t, err, b.At)
		require.NotEmpty(t, values, b.At)
		_, err = stacks.Config(values)
		assert.NoError(t, err, b.At)
	}
	assert.NotZero(t, seen, "the manual shows no settings")
}

func TestEveryManifestOfTheManualIsJudgedAsItSays(t *testing.T) {
	// What the other engine says is for the test below.
	judge(t, "nothing", guard.RuleKyverno)
}

func TestRealKyvernoJudgesTheManualAsItSays(t *testing.T) {
	judge(t, rig.Kyverno(t), "")
}

// judge has the guard check every manifest of the manual. Findings of the rule
// apart are left out.
func judge(t *testing.T, kyverno, apart string) {
	t.Helper()
	seen := map[string]bool{}
	for _, b := range readManual(t).Blocks {
		if b.Kind != manual.Admitted && b.Kind != manual.Refused {
			continue
		}
		seen[b.Kind] = true
		m := newMachine(t)
		m.env["NEUROSCALE_KYVERNO"] = kyverno
		m.write("x.yaml", b.Text)
		_, out, errout := m.run("guard", filepath.Join(m.root, "x.yaml"), "-o", "json")
		var report guard.Report
		require.NoError(t, json.Unmarshal([]byte(out), &report), errout)
		refused := map[string]bool{}
		for _, f := range report.Findings {
			if f.Level == guard.Error && f.Rule != apart {
				refused[f.Rule] = true
			}
		}
		want := map[string]bool{}
		if b.Kind == manual.Refused {
			want[b.Of] = true
		}
		assert.Equal(t, want, refused, b.At)
	}
	assert.Len(t, seen, 2, "the manual shows what is admitted and what is refused")
}
