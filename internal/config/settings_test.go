package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// load is Load of a settings file without texts.
func load(t *testing.T, content string) *Config {
	t.Helper()
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(content), &file))
	raw := map[string]string{}
	for key, value := range file.Config {
		text, err := yaml.Marshal(value)
		require.NoError(t, err)
		json, err := yaml.YAMLToJSON(text)
		require.NoError(t, err)
		raw[key] = string(json)
	}
	c, err := Load(raw)
	require.NoError(t, err)
	return c
}

func settings(t *testing.T, content string) map[string]Setting {
	t.Helper()
	all, err := Settings(load(t, content), "Pulumi.x.yaml", []byte(content))
	require.NoError(t, err)
	by := map[string]Setting{}
	for _, s := range all {
		require.NotContains(t, by, s.Name(), "twice")
		by[s.Name()] = s
	}
	return by
}

func TestEverySettingSaysWhereItCameFrom(t *testing.T) {
	by := settings(t, `# a comment
config:
  other:key: 1
  neuroscale:forge: {nodePort: 30090,
    maxPush: 30Mi}
  neuroscale:serving:
    stableWindow: 90s
    modelStores:
      - cidr: 0.0.0.0/0
        ports: [443, 8443]
      - {cidr: 10.88.0.0/16, ports: [4443]}
  neuroscale:tenants:
    - quota:
        pods: 21
    - namespace: team-b
      owner: team-b
      costCenter: research
      repositories: [team-b]
`)
	for name, want := range map[string]Setting{
		"forge.nodePort":              {Value: 30090, Source: SourceFile, At: "Pulumi.x.yaml:4"},
		"forge.maxPush":               {Value: "30Mi", Source: SourceFile, At: "Pulumi.x.yaml:5"},
		"forge.storage":               {Value: "1Gi", Source: SourceDefault},
		"serving.stableWindow":        {Value: "1m30s", Source: SourceFile, At: "Pulumi.x.yaml:7"},
		"serving.modelStores[0].cidr": {Value: "0.0.0.0/0", Source: SourceFile, At: "Pulumi.x.yaml:9"},
		"serving.modelStores[1].ports": {Value: []any{4443},
			Source: SourceFile, At: "Pulumi.x.yaml:11"},
		"serving.registriesSkippingTagResolving": {Value: []any{"kind.local", "ko.local", "dev.local"}, Source: SourceDefault},
		"cluster.deleteUnreachable":              {Value: false, Source: SourceDefault},
		"tenants[0].namespace":                   {Value: "default", Source: SourceDefault},
		"tenants[0].quota.pods":                  {Value: 21, Source: SourceFile, At: "Pulumi.x.yaml:14"},
		"tenants[0].quota.deployments":           {Value: 10, Source: SourceDefault},
		"tenants[0].egress":                      {Value: []any{}, Source: SourceDefault},
		"tenants[1].repositories":                {Value: []any{"team-b"}, Source: SourceFile, At: "Pulumi.x.yaml:18"},
	} {
		want.Key = "neuroscale:" + name
		assert.Equal(t, want, by[name], name)
	}
}

func TestASettingIsFoundThroughTextAnchorsAndMerges(t *testing.T) {
	by := settings(t, `
few: &few {pods: 3, secrets: 4}
config:
  neuroscale:tenants:
    - quota: &own
        <<: *few
        secrets: 5
      limits: {}
    - namespace: team-b
      owner: team-b
      costCenter: research
      repositories: [team-b]
      quota: *own
    - namespace: team-c
      owner: team-c
      costCenter: research
      repositories: [team-c]
      quota: {<<: [{pods: 8}, *few]}
`)
	for name, want := range map[string]struct {
		value any
		at    string
	}{
		"tenants[0].quota.pods":    {3, "Pulumi.x.yaml:2"},
		"tenants[0].quota.secrets": {5, "Pulumi.x.yaml:7"},
		"tenants[1].quota.secrets": {5, "Pulumi.x.yaml:7"},
		"tenants[2].quota.pods":    {8, "Pulumi.x.yaml:18"},
		"tenants[2].quota.secrets": {4, "Pulumi.x.yaml:2"},
	} {
		assert.Equal(t, want.value, by[name].Value, name)
		assert.Equal(t, want.at, by[name].At, name)
	}

	content := "config:\n  neuroscale:cluster: {}\n  neuroscale:forge: '{\"nodePort\":30090}'\n"
	c, err := Load(map[string]string{"neuroscale:forge": `{"nodePort":30090}`})
	require.NoError(t, err)
	all, err := Settings(c, "Pulumi.x.yaml", []byte(content))
	require.NoError(t, err)
	assert.Contains(t, all, Setting{Key: "neuroscale:forge.nodePort", Value: 30090, Source: SourceFile, At: "Pulumi.x.yaml:3"})
}

func TestAFileOfNothingIsAllDefaults(t *testing.T) {
	for _, content := range []string{"", "config:\n", "encryptionsalt: x\n", "config: {}\n"} {
		all, err := Settings(Default(), "Pulumi.x.yaml", []byte(content))
		require.NoError(t, err)
		require.NotEmpty(t, all)
		for _, s := range all {
			assert.Equal(t, SourceDefault, s.Source, s.Key)
			assert.Empty(t, s.At, s.Key)
		}
	}
}

func TestASettingIsWithinItsOwners(t *testing.T) {
	s := Setting{Key: "neuroscale:tenants[0].quota.pods"}
	for key, want := range map[string]bool{
		"tenants": true, "tenants[0]": true, "neuroscale:tenants[0].quota": true, "tenants[0].quota.pods": true,
		"tenant": false, "tenants[0].quo": false, "quota": false, "tenants[1]": false,
	} {
		assert.Equal(t, want, s.Within(key), key)
	}
}
