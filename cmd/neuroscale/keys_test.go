package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

func keyMachine(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.up()
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(iris(t))})
	return m
}

func TestAKeyIsShownOnceListedAndRevoked(t *testing.T) {
	m := keyMachine(t)
	code, out, errout := m.run("keys", "list")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "there are no keys: make one with `neuroscale keys create`\n", out)

	code, out, errout = m.run("keys", "create", "--tenant", "default", "--note", "lap\ntop")
	require.Equal(t, 0, code, errout)
	id := keys.ID(strings.TrimSpace(out))
	require.NotEmpty(t, id, "standard output is the key and nothing else: %q", out)
	assert.Contains(t, errout, "key "+id+" opens all endpoints of default until "+time.Now().UTC().Add(keys.DefaultLife).Format(time.DateOnly)+", 6000 requests a minute")

	code, made, errout := m.run("keys", "create", "--tenant", "default", "--endpoint", "a,b", "--expires", "12h", "--requests-per-minute", "60", "-o", "json")
	require.Equal(t, 0, code, errout)
	var report keyReport
	require.NoError(t, json.Unmarshal([]byte(made), &report))
	assert.Equal(t, report.ID, keys.ID(report.Key))
	assert.Equal(t, []string{"a", "b"}, report.Endpoints)
	assert.Equal(t, 60, report.RequestsPerMinute)
	assert.WithinDuration(t, time.Now().Add(12*time.Hour), *report.Expires, time.Minute)

	code, list, errout := m.run("keys", "list")
	require.Equal(t, 0, code, errout)
	assert.Regexp(t, `(?m)^`+id+` +default +all +\S+ +\S+ +6000 +"lap\\ntop"$`, list)
	assert.Regexp(t, `(?m)^`+report.ID+` +default +a,b +\S+ +\S+ +60 *$`, list)
	code, asJSON, _ := m.run("keys", "list", "-o", "json")
	require.Equal(t, 0, code)
	for _, secret := range []string{strings.TrimSpace(out), report.Key} {
		assert.NotContains(t, list+asJSON, secret)
		assert.NotContains(t, list+asJSON, keys.Hash(secret))
	}

	code, out, errout = m.run("keys", "revoke", id)
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "revoked: "+id+"\n", out)
	_, list, _ = m.run("keys", "list")
	assert.NotContains(t, list, id)
	assert.Contains(t, list, report.ID)
}

func TestAKeyThatCannotBeMadeSaysWhatToWrite(t *testing.T) {
	m := keyMachine(t)
	for line, want := range map[string]string{
		"create":                                                     "--tenant is missing: write one of default",
		"create --tenant defualt":                                    `--tenant defualt is none (did you mean "default"?): there are default`,
		"create --tenant default x":                                  "create takes no arguments",
		"create --tenant default --endpoint A_b":                     `--endpoint "A_b" is no name of an endpoint: write small letters, digits and -`,
		"create --tenant default --expires soon":                     `--expires is "soon": write a time from 1s to 3650d, such as 90d or 12h`,
		"create --tenant default --expires 99999999999d":             `--expires is "99999999999d": write a time from 1s to 3650d`,
		"create --tenant default --expires -3d":                      `--expires is "-3d"`,
		"create --tenant default --requests-per-minute -1":           "--requests-per-minute is -1: write a number from 1 to 1000000",
		"create --tenant default --note " + strings.Repeat("x", 201): "--note has 201 characters: write at most 200",
		"revoke":                "keys revoke needs at least one ID: `neuroscale keys list` shows them",
		"revoke abc":            `no key "abc": there is none at all`,
		"revoke " + platformKey: "this is a whole key: give only its ID, platform,",
		"rotate":                `unknown command "keys rotate"`,
	} {
		code, out, errout := m.run(append([]string{"keys"}, strings.Fields(line)...)...)
		assert.Equal(t, 1, code, line)
		assert.Empty(t, out)
		assert.Contains(t, errout, want)
		assert.NotContains(t, errout, platformKey)
	}
}

func TestPredictAsksWithTheKeyItIsGiven(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer s.Close()
	m := newMachine(t)
	m.up()
	m.services["x"] = readyStatus("x.example")
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(s.URL)})
	_, token := keys.New(keys.Key{Tenant: "default"}, time.Now())
	m.write("key.txt", token+"\n")
	file := filepath.Join(m.root, "key.txt")
	for name, test := range map[string]struct {
		env, want string
		args      []string
	}{
		"the platform's own":       {"", "Bearer " + platformKey, nil},
		"the environment's":        {"nsk_mine", "Bearer nsk_mine", nil},
		"a file's":                 {"nsk_mine", "Bearer " + token, []string{"--key-file", file}},
		"none, to another gateway": {"", "", []string{"--gateway", s.URL}},
		"none, without the stack":  {"", "", []string{"--gateway", s.URL, "--host", "h"}},
		"one's own, to another's":  {"", "Bearer " + token, []string{"--gateway", s.URL, "--key-file", file}},
	} {
		t.Run(name, func(t *testing.T) {
			m.env["NEUROSCALE_KEY"] = test.env
			code, _, errout := m.run(append([]string{"predict", "x"}, test.args...)...)
			require.Equal(t, 0, code, errout)
			assert.Equal(t, test.want, got)
		})
	}
	m.write("key.txt", "hunter2")
	code, _, errout := m.run("predict", "x", "--key-file", file)
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "holds no key")
	assert.NotContains(t, errout, "hunter2")
}

func TestUpSaysIfTheGatewayIsOpen(t *testing.T) {
	for setting, open := range map[string]bool{"": false, "  neuroscale:serving: {auth: none}\n": true} {
		m := newMachine(t)
		m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cluster: {provider: existing}\n"+setting)
		m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
		outputs := m.outputs(iris(t))
		if open {
			outputs["platformKey"] = ""
		}
		fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpSame, "a"), Outputs: outputs})
		code, out, errout := m.run("up", "--skip-predict")
		require.Equal(t, 0, code, errout)
		assert.Equal(t, open, strings.Contains(out, "the gateway asks for no keys (neuroscale:serving.auth is none)"), out)
		assert.Equal(t, !open, strings.Contains(out, "`neuroscale keys create`"), out)
		assert.NotContains(t, out+errout, platformKey)
		code, out, _ = m.run("up", "--skip-predict", "-o", "json")
		require.Equal(t, 0, code)
		var report upReport
		require.NoError(t, json.Unmarshal([]byte(out), &report))
		assert.Equal(t, open, report.OpenGateway)
	}
}
