package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNameFindsTypingErrorsAndNothingElse(t *testing.T) {
	known := []string{"argocd", "knative", "kserve", "kserve-runtimes"}
	for got, want := range map[string]string{
		"knativ":           "knative",
		"kserve-runtime":   "kserve-runtimes",
		"argcod":           "argocd",
		"kserv":            "kserve",
		"observability-ui": "",
		"":                 "",
	} {
		assert.Equal(t, want, Name(got, known), "for %q", got)
	}
	assert.Equal(t, "", Name("x", nil))
}

func TestHintIsASentencePartOrNothing(t *testing.T) {
	assert.Equal(t, ` (did you mean "ci"?)`, Hint("cii", []string{"ci", "dev"}))
	assert.Empty(t, Hint("production", []string{"ci", "dev"}))
}
