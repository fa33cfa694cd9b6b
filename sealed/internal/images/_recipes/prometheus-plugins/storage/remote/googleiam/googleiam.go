// Package googleiam signs in to no cloud.
package googleiam

import (
	"errors"
	"net/http"
)

var errCloud = errors.New("google_iam is not compiled in")

// Config is refused.
type Config struct{}

// UnmarshalYAML refuses it.
func (*Config) UnmarshalYAML(func(any) error) error { return errCloud }

// NewRoundTripper refuses it.
func NewRoundTripper(*Config, http.RoundTripper) (http.RoundTripper, error) {
	return nil, errCloud
}
