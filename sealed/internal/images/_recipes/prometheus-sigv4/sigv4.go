// Package sigv4 signs requests to no cloud.
package sigv4

import (
	"errors"
	"net/http"
)

// NewSigV4RoundTripper refuses it.
func NewSigV4RoundTripper(*SigV4Config, http.RoundTripper) (http.RoundTripper, error) {
	return nil, errors.New("sigv4 is not compiled in")
}
