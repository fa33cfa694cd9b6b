package render

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What Pulumi applies object by object is in the stack's state twice, and the
// state is written after every step: one big object slows every `up` down.
func TestNothingBigGoesIntoTheStacksState(t *testing.T) {
	for _, o := range rendered(t, "argocd").Objects() {
		text, err := json.Marshal(o)
		require.NoError(t, err)
		assert.Less(t, len(text), 80_000, "%s: %d bytes", describe(o), len(text))
	}
}
