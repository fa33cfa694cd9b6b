package forgeapi

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endless is an answer without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnAnswerThatIsTooLongIsAnErrorAndNotCut(t *testing.T) {
	read, err := io.ReadAll(Bound(io.NopCloser(endless{})))
	require.ErrorIs(t, err, errTooLong)
	assert.Len(t, read, MaxAnswer)
	short, err := io.ReadAll(Bound(io.NopCloser(strings.NewReader("short"))))
	require.NoError(t, err)
	assert.Equal(t, "short", string(short))
}
