package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Where the store is: Secrets with a field a key, named by its ID.
const (
	// Namespace of the Secrets and of what reads them.
	Namespace = "doorkeeper"
	// Secret has the keys that people made. Neither Pulumi nor Argo CD knows it.
	Secret = "keys"
	// PlatformSecret has the platform's own key in the same form, written by Pulumi.
	PlatformSecret = "platform-keys"
	// TokenSecret has the token of the platform's own key in its field TokenField:
	// for the platform's command line, not for what judges requests.
	TokenSecret = "platform-token"
	TokenField  = "token"
)

// Ports of what judges keys.
const (
	// GatePort answers the gateway, over gRPC.
	GatePort = 9001
	// StatusPort serves /healthz, /readyz and /metrics, over HTTP.
	StatusPort = 8080
)

// MaxKeys is the most that one Secret is given: it may have 1 MB, and a key with a
// long note and a list of endpoints some 500 bytes.
const MaxKeys = 2000

// Store of keys by their ID.
type Store map[string]Key

// Encode a key as the field of a Secret.
func Encode(k Key) ([]byte, error) {
	if err := k.validate(); err != nil {
		return nil, err
	}
	return json.Marshal(k)
}

// Decode the fields of a Secret. The error names every field that holds no key;
// the others are in the store all the same, so that one mistake locks out nobody
// else.
func Decode(data map[string][]byte) (Store, error) {
	s := Store{}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(data)) {
		k := Key{}
		d := json.NewDecoder(bytes.NewReader(data[id]))
		// A condition this program does not know must not be passed over.
		d.DisallowUnknownFields()
		if err := d.Decode(&k); err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", id, err))
			continue
		}
		k.ID = id
		if err := k.validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		s[id] = k
	}
	return s, errors.Join(errs...)
}

// Sorted are all keys, the oldest first.
func (s Store) Sorted() []Key {
	return slices.SortedFunc(maps.Values(s), func(a, b Key) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a.ID), []byte(b.ID))
	})
}
