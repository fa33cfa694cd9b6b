package schema

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/yaml"
)

// thing is a resource definition with everything that is special about their
// schemas.
const thing = `
metadata: {name: things.example.org}
spec:
  group: example.org
  names: {kind: Thing}
  versions:
    - name: v1beta1
      served: false
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            metadata: {type: object}
            status: {type: object, required: [ready], properties: {ready: {type: boolean}}}
            spec:
              type: object
              required: [size, mode]
              properties:
                size: {type: integer, format: int32, minimum: 1, maximum: 9}
                mode: {type: string, default: fast, enum: [fast, safe]}
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                tags: {type: object, additionalProperties: {type: string}}
                maybe: {type: object, nullable: true, required: [a], properties: {a: {type: string, nullable: true}}}
                anything: {x-kubernetes-preserve-unknown-fields: true}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                kept: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {name: {type: string}}}
                bare: {type: object}
                embedded: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}
                one:
                  type: object
                  properties: {a: {type: string}, b: {type: string}}
                  oneOf: [{required: [a]}, {required: [b]}]
                list: {type: array, minItems: 1, maxItems: 2, items: {type: string, maxLength: 3, pattern: '^[a-z]*$'}}
                since: {type: string, format: date-time}
`

// with makes a validator of one resource definition, without any download.
func with(t *testing.T, definition string) *Validator {
	t.Helper()
	a := &api{converted: map[string]node{objectMeta: {
		"type": "object", "additionalProperties": false, "properties": node{"name": node{"type": "string"}},
	}}}
	var crd node
	require.NoError(t, yaml.UnmarshalStrict([]byte(definition), &crd))
	kinds, err := a.defined(crd)
	require.NoError(t, err)
	v := &Validator{folder: t.TempDir(), kinds: map[string]map[string]indexed{}}
	index, err := store(v.folder, kinds)
	require.NoError(t, err)
	for _, k := range index {
		v.kinds[k.APIVersion] = map[string]indexed{k.Kind: k}
	}
	v.kubeconform, err = validator.New([]string{filepath.ToSlash(v.folder) + "/" + location}, validator.Opts{Strict: true})
	require.NoError(t, err)
	return v
}

func TestResourceDefinitionsBecomeStrictSchemas(t *testing.T) {
	v := with(t, thing)
	for spec, want := range map[string]string{
		"{size: 1}":                                "",
		"{size: 1, mode: safe}":                    "",
		"{mode: fast}":                             "spec.size: is missing: add it",
		"{size: 0}":                                "spec.size: 0 is too small: it has to be at least 1",
		"{size: 10}":                               "spec.size: 10 is too large: it can be at most 9",
		"{size: 1, mode: fats}":                    "spec.mode: fats is not allowed: did you mean fast?",
		"{size: 1, mode: null}":                    "",
		"{size: 1, port: http}":                    "",
		"{size: 1, port: 80}":                      "",
		"{size: 1, port: true}":                    "spec.port: is true or false, but has to be a whole number or text: put it in quotes",
		"{size: 1, tags: {a: b}}":                  "",
		"{size: 1, tags: {a: null}}":               "spec.tags.a: is empty, but has to be text: add what is missing or remove the field",
		"{size: 1, maybe: null}":                   "",
		"{size: 1, maybe: {a: null}}":              "",
		"{size: 1, maybe: {}}":                     "spec.maybe.a: is missing: add it",
		"{size: 1, anything: [1, {a: b}]}":         "",
		"{size: 1, free: {a: {b: c}}}":             "",
		"{size: 1, free: []}":                      "spec.free: is a list, but has to be an object: correct it",
		"{size: 1, kept: {name: a}}":               "",
		"{size: 1, kept: {nam: a}}":                `spec.kept.nam: unknown field: did you mean "name"?`,
		"{size: 1, bare: {}}":                      "",
		"{size: 1, bare: {a: b}}":                  "spec.bare.a: unknown field: the cluster would drop it, remove it",
		"{size: 1, embedded: {kind: A, spec: {}}}": "",
		"{size: 1, one: {a: b}}":                   "",
		"{size: 1, one: {}}":                       "it does not fit the schema of Thing: correct what is said here: at '/spec/one': 'oneOf' failed, none matched",
		"{size: 1, list: []}":                      "spec.list: has 0 items: at least 1 are needed",
		"{size: 1, list: [a, b, c]}":               "spec.list: has 3 items: at most 2 are allowed",
		"{size: 1, list: [abcd]}":                  "spec.list[0]: has 4 characters: at most 3 are allowed",
		"{size: 1, list: [A]}":                     `spec.list[0]: "A" has to match ^[a-z]*$`,
		"{size: 1, since: 2026-01-02T03:04:05Z}":   "",
		"{size: 1, since: yesterday}":              "it does not fit the schema of Thing: correct what is said here: at '/spec/since': 'yesterday' is not valid date-time",
		"{size: 1, siez: 2}":                       `spec.siez: unknown field: did you mean "size"?`,
	} {
		t.Run(spec, func(t *testing.T) {
			problems := v.Validate([]byte("apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: a}\nstatus: {}\nspec: " + spec))
			if want == "" {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].String(), want)
		})
	}
}

func TestAVersionThatIsNotServedIsNoKind(t *testing.T) {
	problems := with(t, thing).Validate([]byte("apiVersion: example.org/v1beta1\nkind: Thing\nmetadata: {name: a}\n"))
	require.Len(t, problems, 1)
	assert.Equal(t, "apiVersion: example.org/v1beta1 has no kind Thing: write example.org/v1", problems[0].String())
}

func TestASchemaThatIsNoSchemaIsNoPass(t *testing.T) {
	v := with(t, thing)
	require.NoError(t, os.WriteFile(filepath.Join(v.folder, "example.org", "thing_v1.json"), []byte("null"), 0o644))
	problems := v.Validate([]byte("apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: a}\nspec: {size: 1}\n"))
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Message, "it could not be checked")
}

func TestDefinitionsThatContainThemselvesStayReferences(t *testing.T) {
	a := &api{converted: map[string]node{}, Definitions: map[string]node{
		"Outer": {"type": "object", "properties": node{"tree": node{"$ref": "#/definitions/Tree"}}},
		"Tree":  {"type": "object", "properties": node{"branch": node{"$ref": "#/definitions/Branch"}}},
		"Branch": {"type": "object", "properties": node{
			"trees": node{"type": "array", "items": node{"$ref": "#/definitions/Tree"}},
		}},
	}}
	for _, name := range []string{"Outer", "Tree", "Branch"} {
		_, err := a.definition(name, nil)
		require.NoError(t, err)
	}
	assert.Equal(t, node{"$ref": "#/definitions/Tree"}, a.converted["Tree"])
	needed := a.references(a.converted["Outer"], node{})
	require.Contains(t, needed, "Tree")
	assert.Equal(t, false, needed["Tree"].(node)["additionalProperties"], "the converted one, not upstream's")

	_, err := (&api{converted: map[string]node{}, Definitions: map[string]node{
		"A": {"properties": node{"b": node{"$ref": "#/definitions/B"}}},
	}}).definition("A", nil)
	assert.EqualError(t, err, "A refers to B, which is not there")
}
