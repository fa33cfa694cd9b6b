package automation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAProviderGetsTheTokenOfNowAndNothingElseChanges(t *testing.T) {
	const before = `{"version":3,"deployment":{"resources":[
		{"type":"pulumi:providers:github","inputs":{"owner":"acme","token":{"ciphertext":"old"}},"outputs":{"token":{"ciphertext":"old"}}},
		{"type":"pulumi:providers:kubernetes","inputs":{"token":{"ciphertext":"of the cluster"}}},
		{"type":"github:index/repository:Repository","inputs":{"token":"of nobody","repoId":12345678901234567890}}]}}`
	after, err := withSettings([]byte(before), map[string]map[string]string{"github": {"token": "new", "proxy": "of no provider"}})
	require.NoError(t, err)
	const secret = `{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","plaintext":"\"new\""}`
	assert.JSONEq(t, `{"version":3,"deployment":{"resources":[
		{"type":"pulumi:providers:github","inputs":{"owner":"acme","token":`+secret+`},"outputs":{"token":`+secret+`}},
		{"type":"pulumi:providers:kubernetes","inputs":{"token":{"ciphertext":"of the cluster"}}},
		{"type":"github:index/repository:Repository","inputs":{"token":"of nobody","repoId":12345678901234567890}}]}}`, string(after))
	assert.Contains(t, string(after), "12345678901234567890", "a number was rounded")

	for name, settings := range map[string]map[string]map[string]string{"no setting": nil, "an empty one": {"github": {"token": ""}}, "another package's": {"docker": {"token": "x"}}} {
		after, err := withSettings([]byte(before), settings)
		require.NoError(t, err)
		assert.Nil(t, after, name)
	}
}
