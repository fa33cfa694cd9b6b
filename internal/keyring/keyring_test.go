package keyring

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

func cluster(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{kube.Secrets: "SecretList"}, objects...)
}

func made(t *testing.T, tenant string) (keys.Key, string) {
	t.Helper()
	return keys.New(keys.Key{Tenant: tenant, Note: "a\"b\nc"}, time.Now())
}

func TestKeysAreThereUntilTheyAreRevoked(t *testing.T) {
	c := cluster()
	none, err := List(t.Context(), c)
	require.NoError(t, err)
	assert.Empty(t, none)

	one, _ := made(t, "a")
	two, token := made(t, "b")
	require.NoError(t, Add(t.Context(), c, one), "the first makes the Secret")
	require.NoError(t, Add(t.Context(), c, two))
	all, err := List(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, keys.Store{one.ID: one, two.ID: two}, all)
	assert.True(t, keys.Judge(all, time.Now(), token, keys.Target{Tenant: "b", Endpoint: "x"}).Pass())
	assert.ErrorContains(t, Add(t.Context(), c, one), "there already", "nobody's key is written over")

	require.NoError(t, Revoke(t.Context(), c, one.ID, one.ID))
	all, err = List(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, keys.Store{two.ID: two}, all)
}

func TestKeysThatAreMadeAtOnceAreAllThere(t *testing.T) {
	c := cluster()
	first, _ := made(t, "a")
	require.NoError(t, Add(t.Context(), c, first))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			k, _ := made(t, "a")
			assert.NoError(t, Add(t.Context(), c, k))
		})
	}
	all.Wait()
	stored, err := List(t.Context(), c)
	require.NoError(t, err)
	assert.Len(t, stored, 21)
}

func TestWhatCannotBeRevokedSaysWhy(t *testing.T) {
	c := cluster()
	assert.EqualError(t, Revoke(t.Context(), c, "abc"), `no key "abc": there is none at all`)
	k, _ := made(t, "a")
	require.NoError(t, Add(t.Context(), c, k))
	assert.EqualError(t, Revoke(t.Context(), c, k.ID, k.ID[:7]),
		`no key "`+k.ID[:7]+`" (did you mean "`+k.ID+`"?): `+"`neuroscale keys list` shows those there are")
	assert.ErrorContains(t, Revoke(t.Context(), c, keys.PlatformID), "serving.platformKeyGeneration")
	all, err := List(t.Context(), c)
	require.NoError(t, err)
	assert.Contains(t, all, k.ID, "all or none")
}

func TestWhatIsNoKeyHidesNone(t *testing.T) {
	k, _ := made(t, "a")
	c := cluster(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": keys.Secret, "namespace": keys.Namespace},
		"data": map[string]any{"broken": "e30="},
	}})
	require.NoError(t, Add(t.Context(), c, k))
	all, err := List(t.Context(), c)
	assert.ErrorContains(t, err, "key broken: tenant is empty")
	assert.Contains(t, all, k.ID)
	require.NoError(t, Revoke(t.Context(), c, "broken"), "it can be taken away")
	_, err = List(t.Context(), c)
	assert.NoError(t, err)
}

func TestThePlatformsOwnKeyIsRead(t *testing.T) {
	_, err := PlatformToken(t.Context(), cluster())
	assert.ErrorContains(t, err, "the platform's own key")
	token, err := PlatformToken(t.Context(), cluster(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": keys.TokenSecret, "namespace": keys.Namespace},
		"data": map[string]any{keys.TokenField: "bnNrX2E="},
	}}))
	require.NoError(t, err)
	assert.Equal(t, "nsk_a", token)
}
