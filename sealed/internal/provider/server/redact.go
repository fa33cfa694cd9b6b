package server

import (
	"encoding/base64"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// shortest secret that is masked; shorter ones, such as the user names that
// Secrets hold too, occur in any text.
const minSecretLength = 8

// Redactor masks every secret it has been shown in the text it is given.
type Redactor struct {
	mu      sync.RWMutex
	secrets map[string]struct{}
}

// Learn remembers the strings below every secret of the properties.
func (r *Redactor) Learn(props resource.PropertyMap) {
	for _, value := range props {
		r.learn(value, false)
	}
}

func (r *Redactor) learn(v resource.PropertyValue, secret bool) {
	switch {
	case v.IsSecret():
		r.learn(v.SecretValue().Element, true)
	case v.IsOutput():
		r.learn(v.OutputValue().Element, secret || v.OutputValue().Secret)
	case v.IsArray():
		for _, item := range v.ArrayValue() {
			r.learn(item, secret)
		}
	case v.IsObject():
		for _, item := range v.ObjectValue() {
			r.learn(item, secret)
		}
	case v.IsString() && secret:
		r.Add(v.StringValue())
	}
}

// Add remembers one secret in the forms it may be printed in.
func (r *Redactor) Add(secret string) {
	if len(secret) < minSecretLength {
		return
	}
	r.mu.RLock()
	_, known := r.secrets[secret]
	r.mu.RUnlock()
	if known {
		return
	}
	forms := []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}
	if decoded, err := base64.StdEncoding.DecodeString(secret); err == nil && len(decoded) >= minSecretLength {
		forms = append(forms, string(decoded))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.secrets == nil {
		r.secrets = map[string]struct{}{}
	}
	for _, form := range forms {
		r.secrets[form] = struct{}{}
		quoted := strconv.Quote(form)
		r.secrets[quoted[1:len(quoted)-1]] = struct{}{}
	}
}

// Text returns the text with every known secret masked, longest first.
func (r *Redactor) Text(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []string
	for secret := range r.secrets {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	sort.Slice(found, func(i, j int) bool { return len(found[i]) > len(found[j]) })
	for _, secret := range found {
		text = mask(text, secret)
	}
	return text
}

// mask replaces a secret. One that could be a name, such as a user's, stays where
// it is only a part of a longer name, such as an object's.
func mask(text, secret string) string {
	if strings.ContainsFunc(secret, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') }) {
		return strings.ReplaceAll(text, secret, "[secret]")
	}
	var masked strings.Builder
	for {
		at := strings.Index(text, secret)
		if at < 0 {
			masked.WriteString(text)
			return masked.String()
		}
		end := at + len(secret)
		masked.WriteString(text[:at])
		if at > 0 && inName(text[at-1]) || end < len(text) && inName(text[end]) {
			masked.WriteString(secret)
		} else {
			masked.WriteString("[secret]")
		}
		text = text[end:]
	}
}

func inName(c byte) bool {
	return c == '-' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
