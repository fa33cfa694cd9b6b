package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// evidence is one or several tests and the folder they are in.
	evidence = regexp.MustCompile("((?:`Test[A-Za-z0-9_]+`(?:, | and )?)+) in `([a-z0-9/]+)`")
	testName = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	// stepOf are the steps of a test that are named behind it.
	stepOf = regexp.MustCompile("`TestPlatform` in `tests/e2e` \\(([^)]*)\\)")
	step   = regexp.MustCompile(`\*([^*]+)\*`)
	// scriptEvidence is a file of the portal's tests, its folder, and the tests in it.
	scriptEvidence = regexp.MustCompile("`([A-Za-z]+\\.test\\.ts)` in `(portal/[A-Za-z/]+)` \\(([^)]*)\\)")
)

// sources is the text of every test file in a folder of the repository.
func sources(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

func TestEveryTestThatSecurityIsClaimedByExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	require.NoError(t, err)
	named := 0
	for _, found := range evidence.FindAllStringSubmatch(string(text), -1) {
		code := sources(t, found[2])
		for _, name := range testName.FindAllStringSubmatch(found[1], -1) {
			named++
			assert.Containsf(t, code, "func "+name[1]+"(t *testing.T)", "there is no %s in %s", name[1], found[2])
		}
	}
	// One that stands without its folder would not have been looked for, but for how
	// the introduction speaks of one.
	assert.Equal(t, len(testName.FindAllString(string(text), -1)), named+1)
	assert.Greater(t, named, 30)

	for _, found := range scriptEvidence.FindAllStringSubmatch(string(text), -1) {
		code, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(found[2]), found[1]))
		require.NoError(t, err)
		for _, name := range step.FindAllStringSubmatch(found[3], -1) {
			assert.Containsf(t, string(code), "test('"+name[1]+"', ", "%s has no such test", found[1])
		}
	}
	// One that stands without its folder and tests would not have been looked for.
	assert.Equal(t, strings.Count(string(text), ".test.ts`"), len(scriptEvidence.FindAllString(string(text), -1)))

	code := sources(t, "tests/e2e")
	for _, found := range stepOf.FindAllStringSubmatch(string(text), -1) {
		for _, name := range step.FindAllStringSubmatch(found[1], -1) {
			assert.Containsf(t, code, `"`+name[1]+`"`, "TestPlatform has no such step")
		}
	}
}

func TestEveryClaimOfSecurityNamesATest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	require.NoError(t, err)
	claims := 0
	for _, table := range strings.Split(string(text), "| claim | tests |\n|---|---|\n")[1:] {
		table, _, _ = strings.Cut(table, "\n\n")
		for row := range strings.Lines(table) {
			claims++
			assert.Truef(t, evidence.MatchString(row) || scriptEvidence.MatchString(row), "%s", row)
		}
	}
	assert.Greater(t, claims, 15)
}
