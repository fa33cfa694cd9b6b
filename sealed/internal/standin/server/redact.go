package server

import (
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// minSecretLength is of secrets that are masked: shorter ones occur in any text.
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.secrets == nil {
		r.secrets = map[string]struct{}{}
	}
	r.secrets[secret] = struct{}{}
	quoted := strconv.Quote(secret)
	r.secrets[quoted[1:len(quoted)-1]] = struct{}{}
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
		text = strings.ReplaceAll(text, secret, "[secret]")
	}
	return text
}
