// Package keyring reads and writes the keys that a cluster knows.
package keyring

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// List the keys that people made. Without the Secret there are none. What else is
// in it is an error, beside those that are.
func List(ctx context.Context, c dynamic.Interface) (keys.Store, error) {
	data, err := read(ctx, c, keys.Secret)
	if apierrors.IsNotFound(err) {
		return keys.Store{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return keys.Decode(data)
}

// Add a key. It is in force when whoever judges requests has been told, within a
// second.
func Add(ctx context.Context, c dynamic.Interface, k keys.Key) error {
	there, err := List(ctx, c)
	if err != nil && there == nil {
		return err
	}
	if len(there) >= keys.MaxKeys {
		return fmt.Errorf("there are %d keys, which is the most there can be: revoke some that nobody uses", len(there))
	}
	if _, taken := there[k.ID]; taken || k.ID == keys.PlatformID {
		return fmt.Errorf("key %s is there already: try again", k.ID)
	}
	text, err := keys.Encode(k)
	if err != nil {
		return err
	}
	data := map[string]any{k.ID: base64.StdEncoding.EncodeToString(text)}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	secrets := c.Resource(kube.Secrets).Namespace(keys.Namespace)
	// It says nothing of other keys, so that two of these at once lose none.
	add := func() error {
		_, err := secrets.Patch(ctx, keys.Secret, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	err = add()
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata": map[string]any{"name": keys.Secret, "namespace": keys.Namespace}, "data": data,
		}}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			err = add()
		}
	}
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the gateway of this cluster asks for no keys, there is no namespace %s: "+
			"set neuroscale:serving.auth to keys and run `neuroscale up`", keys.Namespace)
	}
	if err != nil {
		return fmt.Errorf("store the key: %w", err)
	}
	return nil
}

// Revoke keys by their IDs, all of them or, if one is not there, none.
func Revoke(ctx context.Context, c dynamic.Interface, ids ...string) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var err error
	for range 3 {
		if err = revoke(ctx, c, ids); !apierrors.IsInvalid(err) {
			return err
		}
		// Somebody else revoked one of them in between, as the next look shows.
	}
	return fmt.Errorf("revoke %s: %w", strings.Join(ids, ", "), err)
}

func revoke(ctx context.Context, c dynamic.Interface, ids []string) error {
	data, err := read(ctx, c, keys.Secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read the keys: %w", err)
	}
	var patch []map[string]string
	for _, id := range ids {
		if id == keys.PlatformID {
			return fmt.Errorf("key %s is the platform's own: raise neuroscale:serving.platformKeyGeneration and run `neuroscale up` to change it", id)
		}
		// An ID that is no key's any more can be taken away all the same.
		if _, there := data[id]; !there {
			return unknown(id, slices.Sorted(maps.Keys(data)))
		}
		patch = append(patch, map[string]string{"op": "remove", "path": "/data/" + id})
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err = c.Resource(kube.Secrets).Namespace(keys.Namespace).Patch(ctx, keys.Secret, types.JSONPatchType, text, metav1.PatchOptions{}); err != nil {
		return err
	}
	return nil
}

func unknown(id string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("no key %q: there is none at all", id)
	}
	return fmt.Errorf("no key %q%s: `neuroscale keys list` shows those there are", id, nearest.Hint(id, known))
}

// PlatformToken is the platform's own key.
func PlatformToken(ctx context.Context, c dynamic.Interface) (string, error) {
	data, err := read(ctx, c, keys.TokenSecret)
	if err != nil {
		return "", fmt.Errorf("read the platform's own key: %w", err)
	}
	return string(data[keys.TokenField]), nil
}

func read(ctx context.Context, c dynamic.Interface, name string) (map[string][]byte, error) {
	o, err := c.Resource(kube.Secrets).Namespace(keys.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	encoded, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		return nil, fmt.Errorf("Secret %s: %w", name, err)
	}
	data := map[string][]byte{}
	for field, text := range encoded {
		if data[field], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("Secret %s: field %s: %w", name, field, err)
		}
	}
	return data, nil
}
