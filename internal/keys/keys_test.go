package keys

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func stored(t *testing.T, keys ...Key) Store {
	t.Helper()
	data := map[string][]byte{}
	for _, k := range keys {
		text, err := Encode(k)
		require.NoError(t, err)
		data[k.ID] = text
	}
	s, err := Decode(data)
	require.NoError(t, err)
	return s
}

func TestATokenIsNowhereInWhatIsStored(t *testing.T) {
	k, token := New(Key{Tenant: "a", Note: "laptop", Endpoints: []string{"iris"}, Expires: now.Add(DefaultLife), RequestsPerMinute: 7}, now)
	text, err := Encode(k)
	require.NoError(t, err)
	_, secret, _ := strings.Cut(strings.TrimPrefix(token, Prefix), "_")
	assert.NotContains(t, string(text), secret)
	assert.Equal(t, k, stored(t, k)[k.ID], "what is read is what was written")
	assert.Equal(t, k.ID, ID(token))
}

func TestNoTwoKeysAreAlikeAndNoneIsGuessed(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		k, token := New(Key{Tenant: "a"}, now)
		require.NotEmpty(t, ID(token), token)
		_, secret, _ := strings.Cut(strings.TrimPrefix(token, Prefix), "_")
		require.Len(t, secret, 32, "160 bits in letters of 5")
		require.False(t, seen[secret])
		seen[secret] = true
		require.NotEqual(t, PlatformID, k.ID)
	}
}

func TestAKeyOpensWhatItIsForAndNothingElse(t *testing.T) {
	all, allToken := New(Key{Tenant: "a"}, now)
	one, oneToken := New(Key{Tenant: "a", Endpoints: []string{"iris"}}, now)
	late, lateToken := New(Key{Tenant: "a", Expires: now}, now.Add(-time.Hour))
	soon, soonToken := New(Key{Tenant: "a", Expires: now.Add(time.Second)}, now)
	_, revoked := New(Key{Tenant: "a"}, now)
	own := Key{ID: PlatformID, Tenant: EveryTenant}
	ownToken := Token(PlatformID, strings.Repeat("x", 40))
	own.Hash = Hash(ownToken)
	s := stored(t, all, one, late, soon, own)
	iris, other := Target{"a", "iris"}, Target{"b", "iris"}
	for name, test := range map[string]struct {
		token   string
		target  Target
		outcome Outcome
		status  int
		says    string
	}{
		"no key":                       {"", iris, Missing, 401, "asks for a key"},
		"not even a key":               {"hunter2", iris, Unknown, 401, "not known"},
		"a revoked one":                {revoked, iris, Unknown, 401, "not known"},
		"another's secret":             {Token(all.ID, strings.Repeat("a", 32)), iris, Unknown, 401, "not known"},
		"its end cut off":              {allToken[:len(allToken)-1], iris, Unknown, 401, "not known"},
		"expired this moment":          {lateToken, iris, Expired, 401, "expired on 2026-03-01T12:00:00Z"},
		"about to expire":              {soonToken, iris, Allowed, 200, ""},
		"any endpoint of the tenant":   {allToken, Target{"a", "rose"}, Allowed, 200, ""},
		"another tenant's":             {allToken, other, Foreign, 403, "does not open endpoint iris in namespace b"},
		"the endpoint on the list":     {oneToken, iris, Allowed, 200, ""},
		"an endpoint off the list":     {oneToken, Target{"a", "rose"}, Foreign, 403, "does not open endpoint rose"},
		"one of that name elsewhere":   {oneToken, other, Foreign, 403, "namespace b"},
		"the platform's own":           {ownToken, other, Allowed, 200, ""},
		"the star is no tenant's name": {allToken, Target{EveryTenant, "iris"}, Foreign, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(s, now, test.token, test.target)
			assert.Equal(t, test.outcome, v.Outcome)
			assert.Equal(t, test.status, v.Status)
			assert.Contains(t, v.Message, test.says)
			assert.Equal(t, v.Status == http.StatusOK, v.Pass())
			if test.token != "" {
				assert.NotContains(t, v.Message, test.token)
			}
		})
	}
}

func TestOneBadFieldLocksNobodyElseOut(t *testing.T) {
	good, token := New(Key{Tenant: "a"}, now)
	text, err := Encode(good)
	require.NoError(t, err)
	hash := good.Hash
	for name, field := range map[string]struct{ id, text, want string }{
		"not JSON":          {"x", "{", `key "x"`},
		"no tenant":         {"x", `{"hash":"` + hash + `"}`, "key x: tenant is empty"},
		"no hash":           {"x", `{"tenant":"a"}`, "key x: hash is no SHA-256"},
		"a limit below 0":   {"x", `{"tenant":"a","hash":"` + hash + `","requestsPerMinute":-1}`, "below 0"},
		"a condition later": {"x", `{"tenant":"a","hash":"` + hash + `","onlyOnMondays":true}`, "onlyOnMondays"},
		"not an ID":         {"X.y", string(text), "small letters and digits"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Decode(map[string][]byte{good.ID: text, field.id: []byte(field.text)})
			assert.ErrorContains(t, err, field.want)
			assert.True(t, Judge(s, now, token, Target{"a", "iris"}).Pass())
			assert.Len(t, s, 1)
		})
	}
}

func TestKeysAreListedInTheOrderTheyWereMade(t *testing.T) {
	old, _ := New(Key{Tenant: "a"}, now)
	young, _ := New(Key{Tenant: "a"}, now.Add(time.Hour))
	assert.Equal(t, []Key{old, young}, stored(t, young, old).Sorted())
}

func FuzzNothingButATokenOfTheStoreOpens(f *testing.F) {
	k, token := New(Key{Tenant: "a"}, now)
	s := Store{k.ID: k}
	for _, seed := range []string{"", token, token + "x", "nsk_", "nsk__", "nsk_a_b", strings.ToUpper(token), "nsk_" + k.ID + "_", "\x00", "nsk_" + k.ID + "\n_x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := Judge(s, now, text, Target{"a", "iris"})
		if v.Pass() != (text == token) {
			t.Fatalf("%q passes: %v", text, v.Pass())
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	s := Store{}
	var token string
	for range 1000 {
		k, text := New(Key{Tenant: "a"}, now)
		s[k.ID], token = k, text
	}
	for b.Loop() {
		Judge(s, now, token, Target{"a", "iris"})
	}
}
