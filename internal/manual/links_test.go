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

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestEveryLinkOfTheDocsLeadsSomewhere(t *testing.T) {
	pages := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		pages = append(pages, more...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			to, _, _ := strings.Cut(found[1], "#")
			if to == "" || strings.Contains(to, "://") {
				continue
			}
			links++
			_, err := os.Stat(filepath.Join(filepath.Dir(page), to))
			assert.NoError(t, err, page)
		}
	}
	assert.Greater(t, links, 10)
}

func TestDecisionsHaveNumbersOfTheirOwn(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs/adr/*.md"))
	require.NoError(t, err)
	numbers := map[string]string{}
	for _, page := range pages {
		name := filepath.Base(page)
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		number, _, _ := strings.Cut(name, "-")
		assert.NotContains(t, numbers, number, "%s and %s", numbers[number], name)
		numbers[number] = name
		assert.True(t, strings.HasPrefix(string(text), "# "+strings.TrimLeft(number, "0")+". "), "the title of %s has another number", name)
	}
	assert.NotEmpty(t, numbers)
}
