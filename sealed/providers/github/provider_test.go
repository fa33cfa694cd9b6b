package main

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/spf13/afero"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write schema.json")

// The engine is told of inputs by schema.json, and the provider reads them by its own.
func TestTheSchemaIsTheProviders(t *testing.T) {
	generator, err := tfgen.NewGenerator(tfgen.GeneratorOptions{
		Package: name, Version: version, Language: tfgen.Schema, ProviderInfo: provider(), Root: afero.NewMemMapFs(),
		Sink: diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never}), SkipDocs: true, XInMemoryDocs: true,
	})
	require.NoError(t, err)
	made, err := generator.Generate()
	require.NoError(t, err)
	raw, err := json.Marshal(made.PackageSpec)
	require.NoError(t, err)
	var spec map[string]any
	require.NoError(t, json.Unmarshal(raw, &spec))
	text, err := json.MarshalIndent(withoutWords(spec), "", "  ")
	require.NoError(t, err)
	text = append(text, '\n')
	if *update {
		require.NoError(t, os.WriteFile("schema.json", text, 0o644))
		return
	}
	assert.JSONEq(t, string(schema), string(text), "run this test with -update")
}

// withoutWords leaves out what is for people, which is upstream's and asked for by nobody.
func withoutWords(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			if _, is := below.(string); is && slices.Contains([]string{"attribution", "deprecationMessage", "description", "readme"}, key) {
				delete(v, key)
				continue
			}
			withoutWords(below)
		}
	case []any:
		for _, below := range v {
			withoutWords(below)
		}
	}
	return value
}
