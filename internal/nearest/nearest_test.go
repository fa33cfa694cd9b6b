package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWordProposesOnlyWhatIsClose(t *testing.T) {
	known := []string{"nodePort", "storage", "organization", "knative", "kserve"}
	for word, want := range map[string]string{
		"nodeport":     "nodePort",
		"nodPort":      "nodePort",
		"organisation": "organization",
		"kserv":        "kserve",
		"knativ":       "knative",
		"storage":      "storage",
		"zzzzzzzz":     "",
		"":             "",
	} {
		assert.Equal(t, want, Word(word, known), "for %q", word)
	}
}
