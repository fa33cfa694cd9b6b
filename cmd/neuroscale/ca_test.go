package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestTheAuthorityIsInTheFileThatIsPrinted(t *testing.T) {
	m := newMachine(t)
	m.up()
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("https://gateway")})
	code, out, errout := m.run("ca")
	require.Zero(t, code, errout)
	file := strings.TrimSuffix(out, "\n")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, authority, string(text))

	// It may have been another one before.
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	_, again, _ := m.run("ca")
	assert.Equal(t, out, again)
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, authority, string(text))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "who trusts it may be somebody else")
}

func TestStatusSaysWhenACertificateIsToBeRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		left time.Duration
		says string
	}{
		"soon":  {20*24*time.Hour + time.Hour, "the certificate of forge ends in 20 days: `neuroscale up -s ci` makes a new one"},
		"ended": {-time.Hour, "the certificate of forge has ended: `neuroscale up -s ci` makes a new one"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.well()
			outputs := m.outputs("http://gateway")
			outputs["layers"] = m.delivered()
			outputs["certificates"] = map[string]any{"forge": time.Now().Add(test.left).Format(time.RFC3339)}
			fakepulumi.Install(t, fakepulumi.Script{Outputs: outputs})
			code, out, _ := m.run("status")
			assert.NotZero(t, code)
			assert.Contains(t, out, test.says)
		})
	}
}
