package server

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
)

func TestEveryPrintedFormOfASecretIsMasked(t *testing.T) {
	multiline := "-----BEGIN KEY-----\nabcdef\n-----END KEY-----\n"
	var r Redactor
	r.Learn(resource.PropertyMap{
		"a": resource.MakeSecret(resource.NewProperty("swordfish")),
		"b": resource.NewProperty([]resource.PropertyValue{resource.MakeSecret(resource.NewProperty(resource.PropertyMap{"key": resource.NewProperty(multiline)}))}),
		"c": resource.NewProperty("public"),
		"d": resource.MakeSecret(resource.NewProperty("on")),
	})
	for _, text := range []string{"swordfish", multiline, `-----BEGIN KEY-----\nabcdef\n-----END KEY-----\n`} {
		assert.Equal(t, "got [secret] here", r.Text("got "+text+" here"))
	}
	assert.Equal(t, "public, on and off", r.Text("public, on and off"), "what is no secret, or too short to be one, stays readable")
}

func TestDiffMarksExactlyWhatForcesAReplacement(t *testing.T) {
	props := func(fields map[string]any) resource.PropertyMap { return resource.NewPropertyMapFromMap(fields) }
	type m = map[string]any
	diff := Compare(
		props(m{"name": "a", "namespace": "x", "spec": m{"list": []any{1, 2}, "gone": 1}}),
		props(m{"name": "a", "namespace": "y", "spec": m{"list": []any{1, 3}, "new": 1}}),
	)
	assert.Equal(t, []string{"namespace", "spec.gone", "spec.list[1]", "spec.new"}, diff.Paths())
	assert.Empty(t, diff.Replaces())
	diff.Replace("spec.list[1]")
	assert.Equal(t, []string{"spec.list[1]"}, diff.Replaces())
	for _, path := range diff.Paths() {
		diff.Replace(path)
	}
	assert.Equal(t, pulumirpc.PropertyDiff_UPDATE_REPLACE, diff.Changes["namespace"])
	assert.Equal(t, pulumirpc.PropertyDiff_ADD_REPLACE, diff.Changes["spec.new"])
	assert.Equal(t, pulumirpc.PropertyDiff_DELETE_REPLACE, diff.Changes["spec.gone"])
	assert.Equal(t, []string{"namespace", "spec"}, diff.response().GetDiffs())
	assert.False(t, within("namespace", "name"), "a longer name that starts alike is another property")
}

func TestEngineAddressIsFoundAmongTheFlags(t *testing.T) {
	assert.Equal(t, "127.0.0.1:1234", engineAddress([]string{"--logtostderr", "-v=9", "127.0.0.1:1234"}))
	assert.Empty(t, engineAddress(nil))
}
