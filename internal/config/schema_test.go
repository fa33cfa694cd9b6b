package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write golden files anew")

// schemaFile is what the settings files of the checkout name.
var schemaFile = filepath.Join("..", "..", "docs", "settings.schema.json")

func TestTheSchemaOfTheCheckoutIsThatOfTheTypes(t *testing.T) {
	want, err := Schema()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(schemaFile, want, 0o644))
	}
	got, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run `go test ./internal/config -update`")
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("settings", document))
	s, err := c.Compile("settings")
	require.NoError(t, err)
	return s
}

// judge is what the schema says about a settings file.
func judge(t *testing.T, s *jsonschema.Schema, content string) error {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(content))
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return s.Validate(document)
}

// Every one of these is refused by Load, too, and an editor that did not mark it
// would let people find out by an `up`.
func TestAnEditorMarksWhatLoadRefuses(t *testing.T) {
	s := compiled(t)
	for name, content := range map[string]string{
		"unknown section":           "config: {neuroscale:forg: {}}",
		"unknown key":               "config: {neuroscale:forge: {nodeport: 30082}}",
		"unknown key of a tenant":   "config: {neuroscale:tenants: [{quota: {pod: 1}}]}",
		"text for a number":         "config: {neuroscale:gitops: {nodePort: '30081'}}",
		"fraction":                  "config: {neuroscale:gitops: {nodePort: 30081.5}}",
		"number below its range":    "config: {neuroscale:gitops: {nodePort: 3000}}",
		"number above its range":    "config: {neuroscale:endpoints: {requeueSeconds: 3601}}",
		"port that is none":         "config: {neuroscale:serving: {modelStores: [{cidr: 10.0.0.0/8, ports: [0]}]}}",
		"word that is none of them": "config: {neuroscale:serving: {auth: basic}}",
		"text for a truth value":    "config: {neuroscale:cluster: {deleteUnreachable: 'yes'}}",
		"amount that is none":       "config: {neuroscale:forge: {storage: 1 GB}}",
		"amount below nothing":      "config: {neuroscale:forge: {storage: -1Gi}}",
		"time that is none":         "config: {neuroscale:serving: {stableWindow: 1 min}}",
		"number for a time":         "config: {neuroscale:serving: {stableWindow: 60}}",
		"text for a list":           "config: {neuroscale:tenants: default}",
		"text for an object":        "config: {neuroscale:gitops: 'on'}",
		"number for an annotation":  "config: {neuroscale:serving: {gateway: {annotations: {example.org/ports: 443}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Error(t, judge(t, s, content))
			var file struct {
				Config map[string]json.RawMessage `json:"config"`
			}
			require.NoError(t, yaml.Unmarshal([]byte(content), &file))
			raw := map[string]string{}
			for key, value := range file.Config {
				raw[key] = string(value)
			}
			_, err := Load(raw)
			assert.Error(t, err)
		})
	}
}

func TestAnEditorMarksNothingThatIsRight(t *testing.T) {
	s := compiled(t)
	whole := plain(reflect.ValueOf(Default()).Elem()).(map[string]any)
	written := map[string]any{}
	for name, value := range whole {
		written[Namespace+":"+name] = value
	}
	text, err := yaml.Marshal(map[string]any{"config": written})
	require.NoError(t, err)
	for name, content := range map[string]string{
		"nothing":                 "{}",
		"no values":               "config:\n",
		"what Pulumi writes":      "encryptionsalt: v1:x\nconfig: {aws:region: eu-west-1}",
		"amounts":                 "config: {neuroscale:serving: {defaultResources: {cpu: 1, limits: {cpu: 1500m, memory: 1e9}}}}",
		"times":                   "config: {neuroscale:serving: {stableWindow: 1m30s}}",
		"the bounds of a range":   "config: {neuroscale:gitops: {nodePort: 30000}, neuroscale:forge: {nodePort: 32767}}",
		"everything, as it is":    string(text),
		"an annotation":           "config: {neuroscale:serving: {gateway: {annotations: {example.org/ports: '443'}}}}",
		"a tenant with one field": "config: {neuroscale:tenants: [{quota: {pods: 1}}]}",
	} {
		assert.NoError(t, judge(t, s, content), name)
	}
}

// schemaNode is what is looked at of the schema.
type schemaNode struct {
	Description string                 `json:"description"`
	Default     any                    `json:"default"`
	Properties  map[string]*schemaNode `json:"properties"`
	Items       *schemaNode            `json:"items"`
}

func (n *schemaNode) visit(at string, see func(at string, n *schemaNode)) {
	see(at, n)
	for name, property := range n.Properties {
		property.visit(at+"."+name, see)
	}
	if n.Items != nil && n.Items.Properties != nil {
		n.Items.visit(at+"[]", see)
	}
}

func TestEveryKeyIsExplainedInPeoplesWords(t *testing.T) {
	text, err := Schema()
	require.NoError(t, err)
	var root schemaNode
	require.NoError(t, json.Unmarshal(text, &root))
	seen := map[string]*schemaNode{}
	root.visit("", func(at string, n *schemaNode) {
		seen[at] = n
		if at != "" {
			assert.NotEmpty(t, n.Description, at)
		}
	})
	assert.Contains(t, seen[".config.neuroscale:serving.authFailure"].Description, "closed (default) refuses them, open lets them in")
	assert.EqualValues(t, 30080, seen[".config.neuroscale:serving.gateway.nodePort"].Default)
	assert.EqualValues(t, 20, seen[".config.neuroscale:tenants[].quota.pods"].Default)
	assert.Nil(t, seen[".config.neuroscale:tenants[].namespace"].Default, "a tenant has no name by itself")
	for at, n := range seen {
		assert.NotRegexp(t, `\b(Auth|Fail|Provider)[A-Z]`, n.Description, at)
		name := strings.TrimSuffix(at[strings.LastIndex(at, ".")+1:], "[]")
		if own := strings.ToUpper(name[:min(1, len(name))]) + name[min(1, len(name)):]; len(name) > 6 && own != name {
			assert.NotRegexp(t, `\b`+own+`\b`, n.Description, "%s has its name in Go", at)
		}
	}
}

func TestTheLimitOfKeysIsTheSameEverywhere(t *testing.T) {
	of, ok := reflect.TypeFor[Serving]().FieldByName("KeyRequestsPerMinute")
	require.True(t, ok)
	assert.EqualValues(t, MaxRequestsPerMinute, *limitsOf(of.Tag).max)
}
