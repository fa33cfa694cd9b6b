package random

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

type m = map[string]any

func of(fields m) servertest.Props { return resource.NewPropertyMapFromMap(fields) }

func urn(kind string) resource.URN {
	return servertest.URN("random:index/random"+kind+":Random"+kind, "x")
}

func secretText(t *testing.T, v resource.PropertyValue) string {
	t.Helper()
	require.True(t, v.IsSecret())
	return v.SecretValue().Element.StringValue()
}

func TestPasswordObeysItsRulesAndStaysSecret(t *testing.T) {
	e := servertest.Start(t, New())
	tests := map[string]struct {
		inputs  m
		allowed string
		min     map[string]int
	}{
		"default":          {m{"length": 40}, lower + upper + numeric + special, nil},
		"letters only":     {m{"length": 40, "special": false, "numeric": false}, lower + upper, nil},
		"digits by number": {m{"length": 20, "lower": false, "upper": false, "special": false}, numeric, nil},
		"no number":        {m{"length": 40, "number": false, "special": false}, lower + upper, nil},
		"own specials":     {m{"length": 40, "lower": false, "upper": false, "numeric": false, "overrideSpecial": "_-"}, "_-", nil},
		"minimums": {m{"length": 8, "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2, "overrideSpecial": "_"},
			lower + upper + numeric + "_", map[string]int{lower: 2, upper: 2, numeric: 2, "_": 2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := e.Create(urn("Password"), of(tt.inputs))
			password := secretText(t, r.Outputs["result"])
			assert.Len(t, password, tt.inputs["length"].(int))
			assert.Empty(t, strings.Trim(password, tt.allowed))
			for chars, n := range tt.min {
				count := 0
				for _, c := range password {
					if strings.ContainsRune(chars, c) {
						count++
					}
				}
				assert.Equal(t, n, count)
			}
			require.NoError(t, bcrypt.CompareHashAndPassword([]byte(secretText(t, r.Outputs["bcryptHash"])), []byte(password)))
			assert.NotContains(t, r.ID, password)
		})
	}
}

func TestLongPasswordStillHasAHash(t *testing.T) {
	r := servertest.Start(t, New()).Create(urn("Password"), of(m{"length": 100}))
	assert.NotEmpty(t, secretText(t, r.Outputs["bcryptHash"]))
}

func TestValueIsKeptUntilAnInputChanges(t *testing.T) {
	e := servertest.Start(t, New())
	program := of(m{"length": 12, "keepers": m{"k": "1"}})
	r := e.Create(urn("Password"), program)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, program).GetChanges())
	found, err := e.Read(r)
	require.NoError(t, err)
	assert.Equal(t, secretText(t, r.Outputs["result"]), secretText(t, found.Outputs["result"]))
	assert.Equal(t, []string{"keepers.k"}, e.Diff(r, of(m{"length": 12, "keepers": m{"k": "2"}})).GetReplaces())
	assert.Equal(t, []string{"length"}, e.Diff(r, of(m{"length": 13, "keepers": m{"k": "1"}})).GetReplaces())

	r.Inputs = of(m{"length": 12, "keepers": m{"k": "1"}, "__defaults": []any{}})
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, program).GetChanges(), "a value the real plugin made must be kept")

	e.Delete(r)
	_, err = e.Read(servertest.Resource{URN: r.URN, ID: r.ID})
	require.ErrorContains(t, err, "cannot be imported", "nobody else knows the value")
}

func TestOtherKindsHaveTheFormTheyPromise(t *testing.T) {
	e := servertest.Start(t, New())
	id := e.Create(urn("Id"), of(m{"byteLength": 4, "prefix": "p-"})).Outputs
	assert.Regexp(t, `^p-[0-9a-f]{8}$`, id["hex"].StringValue())
	assert.Regexp(t, `^p-[0-9]+$`, id["dec"].StringValue())
	assert.Regexp(t, `^p-[A-Za-z0-9_-]{6}$`, id["b64Url"].StringValue())
	assert.Regexp(t, `^[0-9a-f-]{36}$`, e.Create(urn("Uuid"), of(m{})).Outputs["result"].StringValue())
	bytes := e.Create(urn("Bytes"), of(m{"length": 16})).Outputs
	decoded, err := hex.DecodeString(secretText(t, bytes["hex"]))
	require.NoError(t, err)
	assert.Len(t, decoded, 16)
	word := e.Create(urn("String"), of(m{"length": 7, "special": false})).Outputs["result"]
	assert.Regexp(t, `^[A-Za-z0-9]{7}$`, word.StringValue())
	for range 50 {
		n := e.Create(urn("Integer"), of(m{"min": 3, "max": 5})).Outputs["result"].NumberValue()
		assert.Contains(t, []float64{3, 4, 5}, n)
	}
}

func TestMistakesAreNamedAtCheck(t *testing.T) {
	e := servertest.Start(t, New())
	for name, tt := range map[string]struct {
		kind     string
		inputs   m
		property string
	}{
		"no length":          {"Password", m{}, "length"},
		"length zero":        {"Password", m{"length": 0}, "length"},
		"length below rules": {"Password", m{"length": 3, "minLower": 2, "minUpper": 2}, "length"},
		"negative minimum":   {"String", m{"length": 3, "minLower": -1}, "minLower"},
		"nothing allowed":    {"String", m{"length": 3, "lower": false, "upper": false, "numeric": false, "special": false}, "lower"},
		"unknown":            {"String", m{"length": 3, "size": 4}, "size"},
		"no bytes":           {"Id", m{"byteLength": 0}, "byteLength"},
		"empty range":        {"Integer", m{"min": 2, "max": 1}, "max"},
		"fraction":           {"Integer", m{"min": 0.5, "max": 1}, "min"},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.Check(urn(tt.kind), nil, of(tt.inputs))
			require.Len(t, failures, 1)
			assert.Equal(t, tt.property, failures[0].GetProperty())
		})
	}
	_, failures := e.Check(urn("Pet"), nil, of(m{}))
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0].GetReason(), "random:index/randomPassword:RandomPassword")
}
