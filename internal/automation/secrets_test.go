package automation

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

const exported = `{"version":3,"deployment":{"manifest":{"magic":"m"},
"secrets_providers":{"type":"passphrase","state":{"salt":"v1:of-the-old-stack"}},
"pending_operations":[{"type":"creating"}],
"resources":[
 {"urn":"urn:s","type":"pulumi:pulumi:Stack"},
 {"urn":"urn:random","type":"pulumi:providers:random","id":"1"},
 {"urn":"urn:kubernetes","type":"pulumi:providers:kubernetes","id":"2"},
 {"urn":"urn:forge","type":"neuroscale:platform:Forge","parent":"urn:s"},
 {"urn":"urn:serving","type":"neuroscale:platform:Serving","parent":"urn:s"},
 {"urn":"urn:namespace","type":"kubernetes:core/v1:Namespace","parent":"urn:forge","provider":"urn:kubernetes::2"},
 {"urn":"urn:password","type":"random:index/randomPassword:RandomPassword","parent":"urn:forge","provider":"urn:random::1",
  "dependencies":["urn:namespace"],"outputs":{"result":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","plaintext":"\"hunter2\""}}}
]}}`

func urns(t *testing.T, state string) []string {
	t.Helper()
	var d struct {
		Deployment struct {
			Resources []struct{ URN string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(state), &d))
	var all []string
	for _, r := range d.Deployment.Resources {
		all = append(all, r.URN)
	}
	return all
}

func TestTheSecretsOfAStackAreWhatNoSecondRunMakesAgain(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{State: exported})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	_, err := s.Secrets(t.Context())
	assert.ErrorContains(t, err, "has no state")

	writeState(t, state, `{}`)
	secrets, err := s.Secrets(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"urn:s", "urn:random", "urn:forge", "urn:password"}, urns(t, string(secrets)),
		"what is in a cluster that is gone would be looked for, or a secret lost")
	assert.Contains(t, string(secrets), "hunter2")
	for _, gone := range []string{"urn:namespace", "of-the-old-stack", "pending_operations"} {
		assert.NotContains(t, string(secrets), gone)
	}
}

func TestANewStackTakesSecretsOverAndEncryptsThemItself(t *testing.T) {
	calls := fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	require.NoError(t, s.Adopt(t.Context(), []byte(exported)))
	imported := calls.Imported(t)
	assert.Contains(t, imported, `"secrets_providers":{"state":{"salt":"v1:made-by-the-engine"},"type":"passphrase"}`)
	assert.Contains(t, imported, "hunter2")
	for _, line := range calls.Lines(t) {
		assert.NotContains(t, line, "hunter2", "every process sees arguments")
	}
	assert.ErrorContains(t, s.Adopt(t.Context(), []byte(`[]`)), "these are not the secrets of a stack")

	writeState(t, state, `{}`)
	assert.ErrorContains(t, s.Adopt(t.Context(), []byte(exported)), "has a state already")
}
