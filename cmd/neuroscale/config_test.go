package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

func settingsOf(t *testing.T, m *machine, args ...string) map[string]config.Setting {
	t.Helper()
	code, out, errout := m.run(append([]string{"config", "-o", "json"}, args...)...)
	require.Equal(t, 0, code, errout)
	var report configReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	by := map[string]config.Setting{}
	for _, s := range report.Settings {
		by[s.Name()] = s
	}
	return by
}

func TestConfigShowsWhatIsInEffectAndWhereItCameFrom(t *testing.T) {
	m := newMachine(t)
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:serving:\n    gateway: {nodePort: 31080}\n")
	code, out, errout := m.run("config", "serving.gateway")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "KEY                          FROM              VALUE\n"+
		"serving.gateway.nodePort     Pulumi.ci.yaml:3  31080\n"+
		"serving.gateway.type         default           NodePort\n"+
		"serving.gateway.annotations  default           {}\n"+
		"serving.gateway.url          default           \"\"\n", out)

	by := settingsOf(t, m)
	assert.Equal(t, config.Setting{Key: "neuroscale:forge.storage", Value: "1Gi", Source: config.SourceDefault}, by["forge.storage"])
	assert.Equal(t, config.SourceFile, by["serving.gateway.nodePort"].Source)
}

func environmentOf(t *testing.T, m *machine, args ...string) map[string]config.Setting {
	t.Helper()
	code, out, errout := m.run(append([]string{"config", "-o", "json"}, args...)...)
	require.Equal(t, 0, code, errout)
	var report configReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	by := map[string]config.Setting{}
	for _, s := range report.Environment {
		by[s.Key] = s
	}
	return by
}

func TestConfigSaysWhereTheStateIsAndShowsNoSecret(t *testing.T) {
	m := newMachine(t)
	home := m.env["HOME"]
	by := environmentOf(t, m)
	assert.Equal(t, config.Setting{Key: "stack", Value: "ci", Source: config.SourceDefault}, by["stack"])
	assert.Equal(t, config.Setting{Key: "state", Value: "file://" + home + "/.local/state/neuroscale", Source: config.SourceDefault}, by["state"])
	assert.Equal(t, config.SourceDefault, by["passphrase"].Source)
	assert.Contains(t, by["passphrase"].Value, home+"/.config/neuroscale/passphrase-", "only the file's path")
	assert.Equal(t, config.SourceFlag, environmentOf(t, m, "-s", "dev")["stack"].Source)

	m.env["PULUMI_BACKEND_URL"] = "postgres://ops:hunter2@db.example.org/states"
	m.env["PULUMI_CONFIG_PASSPHRASE"] = "correct horse"
	m.env["NEUROSCALE_STACK"] = "dev"
	by = environmentOf(t, m)
	assert.Equal(t, config.Setting{Key: "stack", Value: "dev", Source: config.SourceEnvironment, At: "$NEUROSCALE_STACK"}, by["stack"])
	assert.Equal(t, config.Setting{Key: "state", Value: "postgres://ops:xxxxx@db.example.org/states", Source: config.SourceEnvironment, At: "$PULUMI_BACKEND_URL"}, by["state"])
	assert.Equal(t, config.Setting{Key: "passphrase", Value: "[secret]", Source: config.SourceEnvironment, At: "$PULUMI_CONFIG_PASSPHRASE"}, by["passphrase"])
	code, out, errout := m.run("config")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "\n\nENVIRONMENT")
	assert.NotContains(t, out+errout, "hunter2")
	assert.NotContains(t, out+errout, "correct horse")

	delete(m.env, "PULUMI_CONFIG_PASSPHRASE")
	m.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = "/run/secrets/passphrase"
	assert.Equal(t, "/run/secrets/passphrase", environmentOf(t, m)["passphrase"].Value)
	assert.Empty(t, environmentOf(t, m, "serving"), "who asks for a key wants that one")
}

func TestConfigSaysWhichClusterTheEnvironmentMeans(t *testing.T) {
	m := newMachine(t)
	file := m.env["KUBECONFIG"]
	by := settingsOf(t, m, "cluster")
	assert.Equal(t, config.Setting{Key: "neuroscale:cluster.kubeconfig", Value: file, Source: config.SourceEnvironment, At: "$KUBECONFIG"}, by["cluster.kubeconfig"])
	assert.Equal(t, config.Setting{Key: "neuroscale:cluster.context", Value: "c", Source: config.SourceKubeconfig, At: file}, by["cluster.context"])
	assert.Equal(t, config.Setting{Key: "neuroscale:cluster.address", Value: "127.0.0.1", Source: config.SourceKubeconfig, At: file}, by["cluster.address"])

	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cluster:\n    kubeconfig: "+file+"\n    address: nodes.example.org\n")
	m.env["KUBECONFIG"] = "/nowhere"
	by = settingsOf(t, m, "cluster")
	assert.Equal(t, "Pulumi.ci.yaml:3", by["cluster.kubeconfig"].At)
	assert.Equal(t, "Pulumi.ci.yaml:4", by["cluster.address"].At)
	assert.Equal(t, file, by["cluster.context"].At)

	m.write("Pulumi.ci.yaml", "config: {}\n")
	delete(m.env, "KUBECONFIG")
	by = settingsOf(t, m, "cluster")
	assert.Equal(t, m.env["HOME"]+"/.kube/config", by["cluster.kubeconfig"].Value)
	assert.Equal(t, "", by["cluster.context"].Value, "of a cluster that is not there nothing is known")
}

func TestConfigOfWhatIsNotThereIsOneSentence(t *testing.T) {
	m := newMachine(t)
	for args, want := range map[string]string{
		"serving.gatewy":     "neuroscale: there is no setting \"serving.gatewy\" (did you mean \"serving.gateway\"?): `neuroscale config` shows them all\n",
		"neuroscale:tenant":  "neuroscale: there is no setting \"neuroscale:tenant\" (did you mean \"tenants\"?): `neuroscale config` shows them all\n",
		"tenants[7]":         "there is no setting \"tenants[7]\"",
		"serving.gateway.no": "there is no setting",
	} {
		code, out, errout := m.run("config", args)
		assert.Equal(t, 1, code, args)
		assert.Empty(t, out, args)
		assert.Contains(t, errout, want, args)
	}
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forge: {nodePort: 1}\n")
	code, _, errout := m.run("config")
	assert.Equal(t, 1, code)
	assert.Equal(t, "neuroscale: Pulumi.ci.yaml: neuroscale:forge.nodePort is 1: write a number from 30000 to 32767\n", errout)
}

func TestConfigSchemaIsTheOneOfTheCheckout(t *testing.T) {
	code, out, errout := newMachine(t).run("config", "schema")
	require.Equal(t, 0, code, errout)
	want, err := config.Schema()
	require.NoError(t, err)
	assert.Equal(t, string(want), out)
}
