package random

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
	"golang.org/x/crypto/bcrypt"
)

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numeric = "0123456789"
	special = "!@#$%&*()-_=+[]{}<>:?"
)

// bcryptLimit is the longest password bcrypt takes, in bytes.
const bcryptLimit = 72

func characterFields() server.Fields {
	return server.Fields{
		"keepers":         keepers,
		"length":          {Kind: server.Int, Required: true},
		"lower":           {Kind: server.Bool, Default: true},
		"upper":           {Kind: server.Bool, Default: true},
		"numeric":         {Kind: server.Bool, Default: true},
		"number":          {Kind: server.Bool},
		"special":         {Kind: server.Bool, Default: true},
		"overrideSpecial": {Kind: server.String},
		"minLower":        {Kind: server.Int, Default: float64(0)},
		"minUpper":        {Kind: server.Int, Default: float64(0)},
		"minNumeric":      {Kind: server.Int, Default: float64(0)},
		"minSpecial":      {Kind: server.Int, Default: float64(0)},
	}
}

func password() server.Generated {
	return server.Generated{
		Fields:  characterFields(),
		Secrets: []string{"result", "bcryptHash"},
		Check:   checkCharacters,
		Make: func(in server.Values) (string, map[string]any, error) {
			result, err := characters(in)
			if err != nil {
				return "", nil, err
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(result)[:min(len(result), bcryptLimit)], bcrypt.DefaultCost)
			if err != nil {
				return "", nil, fmt.Errorf("hashing the password: %w", err)
			}
			return "none", map[string]any{"result": result, "bcryptHash": string(hash), "number": in.Bool("numeric")}, nil
		},
	}
}

func text() server.Generated {
	return server.Generated{
		Fields:  characterFields(),
		Outputs: []string{"result"},
		Check:   checkCharacters,
		Make: func(in server.Values) (string, map[string]any, error) {
			result, err := characters(in)
			return result, map[string]any{"result": result, "number": in.Bool("numeric")}, err
		},
	}
}

// class is one set of characters, whether it may be used, and how many of it
// there must be.
type class struct {
	field, chars string
	allowed      bool
	min          int
}

func classes(in server.Values) []class {
	specials := special
	if override := in.String("overrideSpecial"); override != "" {
		specials = override
	}
	digits := in.Bool("numeric")
	if in.Has("number") {
		digits = digits && in.Bool("number")
	}
	return []class{
		{"lower", lower, in.Bool("lower"), in.Int("minLower")},
		{"upper", upper, in.Bool("upper"), in.Int("minUpper")},
		{"numeric", numeric, digits, in.Int("minNumeric")},
		{"special", specials, in.Bool("special"), in.Int("minSpecial")},
	}
}

func checkCharacters(in server.Values) []server.Failure {
	var failures []server.Failure
	total, some := 0, false
	for _, c := range classes(in) {
		property := "min" + strings.ToUpper(c.field[:1]) + c.field[1:]
		if c.min < 0 {
			failures = append(failures, server.Failure{Property: property, Reason: "must not be negative"})
		}
		total += c.min
		some = some || c.allowed || c.min > 0
	}
	switch length := in.Int("length"); {
	case length < 1:
		failures = append(failures, server.Failure{Property: "length", Reason: "must be at least 1"})
	case length < total:
		failures = append(failures, server.Failure{Property: "length", Reason: fmt.Sprintf("must be at least %d, the sum of minLower, minUpper, minNumeric and minSpecial", total)})
	case !some:
		failures = append(failures, server.Failure{Property: "lower", Reason: "one of lower, upper, numeric and special must be true"})
	}
	return failures
}

// characters draws the minimum of each class, the rest from all that are
// allowed, and shuffles.
func characters(in server.Values) (string, error) {
	var out []byte
	all := ""
	for _, c := range classes(in) {
		if c.allowed {
			all += c.chars
		}
		for range c.min {
			char, err := pick(c.chars)
			if err != nil {
				return "", err
			}
			out = append(out, char)
		}
	}
	for len(out) < in.Int("length") {
		char, err := pick(all)
		if err != nil {
			return "", err
		}
		out = append(out, char)
	}
	for i := len(out) - 1; i > 0; i-- {
		j, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return "", err
		}
		out[i], out[j.Int64()] = out[j.Int64()], out[i]
	}
	return string(out), nil
}

func pick(chars string) (byte, error) {
	if chars == "" {
		return 0, fmt.Errorf("no characters to choose from")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(chars))))
	if err != nil {
		return 0, err
	}
	return chars[n.Int64()], nil
}
