package manifest

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func TestTokensAreThoseOfTheTypedSDK(t *testing.T) {
	assert.Equal(t, "kubernetes:core/v1:Secret", Token("v1", "Secret"))
	assert.Equal(t, "kubernetes:apps/v1:Deployment", Token("apps/v1", "Deployment"))
	assert.Equal(t, "kubernetes:argoproj.io/v1alpha1:Application", Token("argoproj.io/v1alpha1", "Application"))
}

func TestNewResolvesInputsAtAnyDepth(t *testing.T) {
	r := recorder.MustRun(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "it", Object{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": Object{"name": "it"},
			"data": Object{"list": []any{Object{"deep": pulumi.String("value").ToStringOutput()}}, "n": 3},
		})
		return err
	}, recorder.Options{})
	object := r.Get(t, "ConfigMap", "it").Object()
	assert.Equal(t, "value", recorder.At(object, "data.list.0.deep"))
	assert.Equal(t, 3.0, recorder.At(object, "data.n"))
}

func TestSecretsNeverLeaveInClearText(t *testing.T) {
	r := recorder.MustRun(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "it", Secret("here", "it", map[string]string{"a": "b"}, map[string]pulumi.StringInput{
			"password": pulumi.String("hidden"),
		}))
		return err
	}, recorder.Options{})
	secret := r.Get(t, "Secret", "it")
	secret.AssertSecret(t, "data")
	assert.Equal(t, "aGlkZGVu", recorder.At(secret.Object(), "data.password"))
	assert.Equal(t, "b", recorder.At(secret.Object(), "metadata.labels.a"))
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	for want, object := range map[string]Object{
		"object it: no apiVersion":    {"kind": "A", "metadata": Object{"name": "n"}},
		"object it: no kind":          {"apiVersion": "v1", "metadata": Object{"name": "n"}},
		"object it: no metadata.name": {"apiVersion": "v1", "kind": "A"},
	} {
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "it", object)
			return err
		}))
	}
}

func TestAPatchIsTheSDKsPatchResourceOfTheKind(t *testing.T) {
	r := recorder.MustRun(t, func(ctx *pulumi.Context) error {
		set := NewSet(ctx)
		set.Patch("it", Object{
			"apiVersion": "v1", "kind": "Namespace",
			"metadata": Object{"name": "default", "labels": Object{"owner": "us"}},
		})
		return set.Err()
	}, recorder.Options{})
	patch := r.Type(t, "kubernetes:core/v1:NamespacePatch", "it")
	assert.Equal(t, "Namespace", patch.Object()["kind"], "the provider would take it for an object of its own")
	assert.Equal(t, "default", patch.ObjectName())
}

func TestSetReportsEveryError(t *testing.T) {
	_, err := recorder.Run(func(ctx *pulumi.Context) error {
		set := NewSet(ctx)
		set.Add("first", Object{})
		set.Patch("second", Object{})
		return set.Err()
	}, recorder.Options{})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "first")
	assert.Contains(t, err.Error(), "second")
}

func TestHashTellsPartsApart(t *testing.T) {
	assert.Len(t, Hash("a"), 12)
	assert.Equal(t, Hash("a", "b"), Hash("a", "b"))
	assert.NotEqual(t, Hash("a", "b"), Hash("ab"))
	assert.NotEqual(t, Hash("a", "b"), Hash("b", "a"))
}

// With a manager of its own for each attempt, the second one after a kill would be
// in conflict with the first.
func TestEveryAttemptManagesAnObjectUnderTheSameName(t *testing.T) {
	given := Object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": Object{"name": "a", "annotations": Object{"pulumi.com/skipAwait": "true"}},
	}
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		_, err := New(ctx, "a", given, on)
		return err
	})
	assert.Equal(t, map[string]any{
		"pulumi.com/patchFieldManager": "neuroscale", "pulumi.com/patchForce": "true", "pulumi.com/skipAwait": "true",
	},
		recorder.At(r.Get(t, "ConfigMap", "a").Object(), "metadata.annotations"))
	assert.Len(t, given["metadata"].(Object)["annotations"], 1, "the caller's object was changed")
}
