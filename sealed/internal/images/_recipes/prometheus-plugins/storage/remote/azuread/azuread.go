// Package azuread signs in to no cloud.
package azuread

import (
	"errors"
	"net/http"
)

var errCloud = errors.New("azuread is not compiled in")

// AzureADConfig is refused.
type AzureADConfig struct{}

// UnmarshalYAML refuses it.
func (*AzureADConfig) UnmarshalYAML(func(any) error) error { return errCloud }

// NewAzureADRoundTripper refuses it.
func NewAzureADRoundTripper(*AzureADConfig, http.RoundTripper) (http.RoundTripper, error) {
	return nil, errCloud
}
