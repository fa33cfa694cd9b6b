package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// settingsFiles are those of the checkout.
func settingsFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "Pulumi.*.yaml"))
	require.NoError(t, err)
	all := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all[filepath.Base(path)] = string(text)
	}
	return all
}

func TestTheSettingsFilesOfTheCheckoutWork(t *testing.T) {
	files := settingsFiles(t)
	for _, name := range []string{"Pulumi.ci.yaml", "Pulumi.cloud.example.yaml", "Pulumi.dev.yaml"} {
		require.Contains(t, files, name)
	}
	s := compiled(t)
	for name, text := range files {
		load(t, text)
		assert.NoError(t, judge(t, s, text), name)
		assert.True(t, strings.HasPrefix(text, "# yaml-language-server: $schema=docs/settings.schema.json\n"), "%s names no schema", name)
	}
}

// written are the keys that stand in a settings file, elements of lists as [], and
// whether a comment stands above or behind each.
func written(t *testing.T, text string) map[string]bool {
	t.Helper()
	var file yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	keys := map[string]bool{}
	var visit func(at string, node *yaml.Node, above string)
	visit = func(at string, node *yaml.Node, above string) {
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i < len(node.Content); i += 2 {
				key, value := node.Content[i], node.Content[i+1]
				comment := key.HeadComment + key.LineComment + value.LineComment
				if i == 0 {
					// That of an element of a list is of its first key.
					comment += above
				}
				name := strings.TrimPrefix(at+"."+key.Value, ".")
				keys[name] = comment != ""
				visit(name, value, "")
			}
		case yaml.SequenceNode:
			for _, each := range node.Content {
				visit(at+"[]", each, each.HeadComment)
			}
		}
	}
	for i := 0; i < len(file.Content[0].Content); i += 2 {
		if file.Content[0].Content[i].Value == "config" {
			visit("", file.Content[0].Content[i+1], "")
		}
	}
	return keys
}

func TestEveryKeyIsDocumentedWhereItStands(t *testing.T) {
	for name, text := range settingsFiles(t) {
		for key, explained := range written(t, text) {
			// A section that is short says all by its keys.
			if strings.Contains(key, ".") {
				assert.Truef(t, explained, "%s: %s has no comment", name, key)
			}
		}
	}
}

// Those of a cluster in Docker stand in Pulumi.dev.yaml, all others in the example.
func TestEveryKeyStandsInOneOfTheFiles(t *testing.T) {
	c := Default()
	c.Tenants[0].Egress = c.Serving.ModelStores
	all, err := Settings(c, "", nil)
	require.NoError(t, err)
	index := regexp.MustCompile(`\[[0-9]+\]`)
	known := map[string]bool{}
	for _, s := range all {
		known[index.ReplaceAllString(s.Key, "[]")] = true
	}
	there := written(t, settingsFiles(t)["Pulumi.cloud.example.yaml"])
	maps.Copy(there, written(t, settingsFiles(t)["Pulumi.dev.yaml"]))
	for _, key := range slices.Sorted(maps.Keys(known)) {
		_, stands := there[key]
		assert.Truef(t, stands, "%s is in neither file", key)
	}
}

// They say of every key what its value is without it.
func TestTheFilesNameTheDefaults(t *testing.T) {
	for _, name := range []string{"Pulumi.cloud.example.yaml", "Pulumi.dev.yaml"} {
		namesDefaults(t, settingsFiles(t)[name])
	}
}

func namesDefaults(t *testing.T, text string) {
	t.Helper()
	all, err := Settings(Default(), "", nil)
	require.NoError(t, err)
	lines := strings.Split(text, "\n")
	at, err := writtenAt([]byte(text))
	require.NoError(t, err)
	for _, s := range all {
		line, ok := at[s.Key]
		if !ok || s.Value == "" || fmt.Sprint(s.Value) == "[]" {
			continue
		}
		// The comment is behind the key or above it.
		comment := lines[line-1]
		for above := line - 2; above >= 0 && strings.HasPrefix(strings.TrimSpace(lines[above]), "#"); above-- {
			comment = strings.TrimPrefix(strings.TrimSpace(lines[above]), "# ") + " " + comment
		}
		value := strings.ReplaceAll(fmt.Sprint(s.Value), " ", ", ")
		if object, ok := s.Value.(map[string]any); ok && len(object) == 0 {
			value = "{}"
		}
		assert.Containsf(t, afterDefault(comment), value, "line %d: %s", line, s.Key)
	}
}

// afterDefault is what a comment says the default is.
func afterDefault(comment string) string {
	_, text, _ := strings.Cut(comment, "default")
	return text
}
