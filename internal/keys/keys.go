// Package keys is what opens endpoints: keys that belong to a tenant, the store
// that knows their hashes, and what a key may do.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// Prefix is how every token begins, so that one which leaked is found by a
	// search for it.
	Prefix = "nsk_"
	// EveryTenant stands for all of them: the platform's own key asks any endpoint.
	EveryTenant = "*"
	// PlatformID is the ID of the platform's own key.
	PlatformID = "platform"
	// DefaultLife is how long a key is valid that says nothing else.
	DefaultLife = 90 * 24 * time.Hour
)

// Bytes of randomness: the ID is a name, the secret must not be guessed.
const (
	idBytes     = 5
	secretBytes = 20
)

var (
	token    = regexp.MustCompile(`^nsk_([a-z0-9]{1,32})_([A-Za-z0-9]{32,64})$`)
	letters  = base32.StdEncoding.WithPadding(base32.NoPadding)
	validID  = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
	validSum = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Key is what the store knows of a key: everything but the key itself.
type Key struct {
	// ID is in the token, in the store's field name, in logs and in metrics.
	ID string `json:"-"`
	// Tenant whose endpoints it opens, or EveryTenant.
	Tenant string `json:"tenant"`
	// Endpoints it opens, by name; none means all of the tenant's.
	Endpoints []string `json:"endpoints,omitempty"`
	// Created is when it was made.
	Created time.Time `json:"created"`
	// Expires is when it stops being valid; zero means never.
	Expires time.Time `json:"expires,omitzero"`
	// RequestsPerMinute is the most it may ask for; 0 means no limit.
	RequestsPerMinute int `json:"requestsPerMinute,omitempty"`
	// Note is for people.
	Note string `json:"note,omitempty"`
	// Hash is that of the token; see Hash.
	Hash string `json:"hash"`
}

// New makes a key and its token, which is nowhere else: it is shown once.
func New(k Key, now time.Time) (Key, string) {
	k.ID, k.Created = random(idBytes), now.UTC().Truncate(time.Second)
	text := Token(k.ID, random(secretBytes))
	k.Hash = Hash(text)
	return k, text
}

// Token of an ID and a secret of 32 to 64 letters and digits.
func Token(id, secret string) string { return Prefix + id + "_" + secret }

// Hash is SHA-256, in hexadecimal digits. A slow hash protects passwords, which
// people choose and others guess. A token has at least 160 random bits: nobody
// guesses it however fast the hash is, and this one is computed for each request.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ID is the ID in a token, or "" if it is no token at all.
func ID(text string) string {
	parts := token.FindStringSubmatch(text)
	if parts == nil {
		return ""
	}
	return parts[1]
}

// opens is whether text is the key's token; how long it takes does not tell where
// they differ.
func (k Key) opens(text string) bool {
	return subtle.ConstantTimeCompare([]byte(k.Hash), []byte(Hash(text))) == 1
}

// Expired is whether the key is no longer valid.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// allows is whether the key opens an endpoint of a tenant.
func (k Key) allows(tenant, endpoint string) bool {
	if k.Tenant != EveryTenant && k.Tenant != tenant {
		return false
	}
	return len(k.Endpoints) == 0 || slices.Contains(k.Endpoints, endpoint)
}

func (k Key) validate() error {
	switch {
	case !validID.MatchString(k.ID):
		return fmt.Errorf("key %q: an ID is small letters and digits", k.ID)
	case k.Tenant == "":
		return fmt.Errorf("key %s: tenant is empty", k.ID)
	case !validSum.MatchString(k.Hash):
		return fmt.Errorf("key %s: hash is no SHA-256 in hexadecimal digits", k.ID)
	case k.RequestsPerMinute < 0:
		return fmt.Errorf("key %s: requestsPerMinute is %d, which is below 0", k.ID, k.RequestsPerMinute)
	}
	return nil
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // ends the program rather than fail
	return strings.ToLower(letters.EncodeToString(b))
}
