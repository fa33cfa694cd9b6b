// Package random is a stand-in for Pulumi's random provider, for places where
// the real plugin cannot be installed.
package random

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/google/uuid"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

// version is the plugin version the product's SDK asks for.
const version = "4.18.0"

// New makes the provider.
func New() server.Provider {
	return server.Provider{
		Package: "random", Version: version,
		Resources: map[string]server.Generated{
			"random:index/randomPassword:RandomPassword": password(),
			"random:index/randomString:RandomString":     text(),
			"random:index/randomId:RandomId":             id(),
			"random:index/randomBytes:RandomBytes":       bytes(),
			"random:index/randomUuid:RandomUuid":         uuids(),
			"random:index/randomInteger:RandomInteger":   integer(),
		},
	}
}

var keepers = server.Field{Kind: server.StringMap}

func id() server.Generated {
	return server.Generated{
		Fields: server.Fields{
			"keepers":    keepers,
			"byteLength": {Kind: server.Int, Required: true},
			"prefix":     {Kind: server.String},
		},
		Outputs: []string{"b64Std", "b64Url", "dec", "hex"},
		Check:   atLeastOne("byteLength"),
		Make: func(in server.Values) (string, map[string]any, error) {
			data, err := random(in.Int("byteLength"))
			if err != nil {
				return "", nil, err
			}
			prefix := in.String("prefix")
			return base64.RawURLEncoding.EncodeToString(data), map[string]any{
				"b64Std": prefix + base64.StdEncoding.EncodeToString(data),
				"b64Url": prefix + base64.RawURLEncoding.EncodeToString(data),
				"dec":    prefix + new(big.Int).SetBytes(data).String(),
				"hex":    prefix + hex.EncodeToString(data),
			}, nil
		},
	}
}

func bytes() server.Generated {
	return server.Generated{
		Fields:  server.Fields{"keepers": keepers, "length": {Kind: server.Int, Required: true}},
		Secrets: []string{"base64", "hex"},
		Check:   atLeastOne("length"),
		Make: func(in server.Values) (string, map[string]any, error) {
			data, err := random(in.Int("length"))
			return "none", map[string]any{
				"base64": base64.StdEncoding.EncodeToString(data), "hex": hex.EncodeToString(data),
			}, err
		},
	}
}

func uuids() server.Generated {
	return server.Generated{
		Fields:  server.Fields{"keepers": keepers},
		Outputs: []string{"result"},
		Make: func(server.Values) (string, map[string]any, error) {
			value, err := uuid.NewRandom()
			return value.String(), map[string]any{"result": value.String()}, err
		},
	}
}

func integer() server.Generated {
	return server.Generated{
		Fields: server.Fields{
			"keepers": keepers,
			"min":     {Kind: server.Int, Required: true},
			"max":     {Kind: server.Int, Required: true},
		},
		Outputs: []string{"result"},
		Check: func(in server.Values) []server.Failure {
			if in.Int("max") < in.Int("min") {
				return []server.Failure{{Property: "max", Reason: fmt.Sprintf("must be at least min (%d)", in.Int("min"))}}
			}
			return nil
		},
		Make: func(in server.Values) (string, map[string]any, error) {
			low, high := int64(in.Int("min")), int64(in.Int("max"))
			n, err := rand.Int(rand.Reader, big.NewInt(high-low+1))
			if err != nil {
				return "", nil, err
			}
			result := low + n.Int64()
			return fmt.Sprint(result), map[string]any{"result": float64(result)}, nil
		},
	}
}

func atLeastOne(field string) func(server.Values) []server.Failure {
	return func(in server.Values) []server.Failure {
		if in.Int(field) < 1 {
			return []server.Failure{{Property: field, Reason: "must be at least 1"}}
		}
		return nil
	}
}

func random(n int) ([]byte, error) {
	data := make([]byte, n)
	_, err := rand.Read(data)
	return data, err
}
