package keys

import (
	"fmt"
	"net/http"
	"time"
)

// Outcome of a judgement, in one word.
type Outcome string

// The outcomes. Limited is not Judge's: whoever counts requests says so.
const (
	Allowed  Outcome = "allowed"
	Missing  Outcome = "missing"
	Unknown  Outcome = "unknown"
	Expired  Outcome = "expired"
	Foreign  Outcome = "foreign"
	Limited  Outcome = "limited"
	Inside   Outcome = "inside"
	Probe    Outcome = "probe"
	NoTarget Outcome = "no-endpoint"
)

// Target of a request.
type Target struct{ Tenant, Endpoint string }

// Verdict on a request.
type Verdict struct {
	Outcome Outcome
	// Status is the HTTP status to answer with, 200 if the request may pass.
	Status int
	// Message is one sentence for who asked; empty if the request may pass.
	Message string
	// Key that was shown, if it is one.
	Key Key
}

// Pass is whether the request goes on.
func (v Verdict) Pass() bool { return v.Status == http.StatusOK }

// Judge says whether a token opens a target. An unknown and a revoked key are the
// same, and so are a wrong secret and a wrong ID.
func Judge(s Store, now time.Time, token string, t Target) Verdict {
	if token == "" {
		return Verdict{Missing, http.StatusUnauthorized,
			"This endpoint asks for a key: send it as `Authorization: Bearer nsk_...` or as `X-API-Key: nsk_...`.", Key{}}
	}
	k, known := s[ID(token)]
	// The hash is computed for an unknown ID too.
	if !k.opens(token) || !known {
		return Verdict{Unknown, http.StatusUnauthorized, "This key is not known: it is mistyped or was revoked.", Key{}}
	}
	if k.Expired(now) {
		return Verdict{Expired, http.StatusUnauthorized,
			fmt.Sprintf("Key %s expired on %s: ask for a new one.", k.ID, k.Expires.UTC().Format(time.RFC3339)), k}
	}
	if !k.allows(t.Tenant, t.Endpoint) {
		return Verdict{Foreign, http.StatusForbidden,
			fmt.Sprintf("Key %s does not open endpoint %s in namespace %s.", k.ID, t.Endpoint, t.Tenant), k}
	}
	return Verdict{Allowed, http.StatusOK, "", k}
}

// OverLimit is the verdict on a request beyond the key's limit; seconds is when the
// next one may come, at least 1.
func OverLimit(k Key, seconds int) Verdict {
	return Verdict{Limited, http.StatusTooManyRequests,
		fmt.Sprintf("Key %s may ask %d times a minute: try again in %d s.", k.ID, k.RequestsPerMinute, seconds), k}
}
