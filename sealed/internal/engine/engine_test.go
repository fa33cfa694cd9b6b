package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestACapabilityThatIsMissingIsAskedForNoMore(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		at   []string
	}{
		"of a container": {`{"hostname":"a","process":{"args":["x"],"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]}}}`, []string{"process"}},
		"of an exec":     {`{"args":["x"],"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			require.NoError(t, os.WriteFile(file, []byte(test.text), 0o600))
			require.NoError(t, without(file, []string{"CAP_SYS_RESOURCE"}, test.at...))
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var whole map[string]any
			require.NoError(t, json.Unmarshal(text, &whole))
			for _, key := range test.at {
				whole = whole[key].(map[string]any)
			}
			assert.Equal(t, []any{"x"}, whole["args"])
			assert.Equal(t, map[string]any{"bounding": []any{"CAP_CHOWN"}, "effective": []any{}}, whole["capabilities"])
		})
	}
}

func TestWithEveryCapabilityNothingIsTouched(t *testing.T) {
	require.NoError(t, without(filepath.Join(t.TempDir(), "missing"), nil, "process"))
}
