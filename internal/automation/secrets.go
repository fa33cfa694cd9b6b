package automation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keptTypes are the resources that are nothing but a secret which no second run makes
// again: random values, keys and certificates.
var keptTypes = []string{"random:", "tls:"}

// deployment is a state as `stack export` prints it, as far as it is looked at.
type deployment struct {
	Version    int            `json:"version"`
	Deployment map[string]any `json:"deployment"`
}

// Secrets are the stack's secrets in clear text, as a state of nothing else: what
// Adopt takes.
func (s *Stack) Secrets(ctx context.Context) ([]byte, error) {
	if !s.Exists() {
		return nil, s.neverUp()
	}
	if _, err := s.prepare(ctx); err != nil {
		return nil, err
	}
	raw, err := s.run(ctx, nil, "stack", "export", "--show-secrets")
	if err != nil {
		return nil, s.explain("read the state of stack "+s.Options.Stack, err, nil)
	}
	return onlySecrets([]byte(raw))
}

// Adopt begins the state of a stack that has none with the secrets of another: the
// next Up makes everything else to them.
func (s *Stack) Adopt(ctx context.Context, secrets []byte) error {
	if s.Exists() {
		return fmt.Errorf("stack %s has a state already: only one that was never up can take over secrets", s.Options.Stack)
	}
	if _, err := s.prepare(ctx); err != nil {
		return err
	}
	salt, err := s.salt()
	if err != nil {
		return err
	}
	secrets, err = encryptedWith(secrets, salt)
	if err != nil {
		return err
	}
	if _, err := s.run(ctx, secrets, "stack", "import"); err != nil {
		return s.explain("take over the secrets of stack "+s.Options.Stack, err, nil)
	}
	return nil
}

// salt of the passphrase the engine encrypts this stack's secrets with, made when the
// stack was.
func (s *Stack) salt() (string, error) {
	dir, err := s.home.Stage(s.Project, s.Options.Stack)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "Pulumi."+s.Options.Stack+".yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the settings of stack %s: %w", s.Options.Stack, err)
	}
	found, err := salt(raw, file)
	if err == nil && found == "" {
		err = fmt.Errorf("stack %s does not encrypt its secrets with a passphrase: secrets can only be taken over by one that does", s.Options.Stack)
	}
	return found, err
}

// encryptedWith names in a state who encrypts its secrets once they are imported.
func encryptedWith(state []byte, salt string) ([]byte, error) {
	var d deployment
	if err := json.Unmarshal(state, &d); err != nil || d.Deployment == nil {
		return nil, errors.Join(errors.New("these are not the secrets of a stack"), err)
	}
	d.Deployment["secrets_providers"] = map[string]any{"type": "passphrase", "state": map[string]any{"salt": salt}}
	return json.Marshal(d)
}

// onlySecrets leaves of a state the kept types, with what they are in and who made
// them.
func onlySecrets(state []byte) ([]byte, error) {
	var d deployment
	if err := json.Unmarshal(state, &d); err != nil {
		return nil, fmt.Errorf("the state is not what `pulumi stack export` prints: %w", err)
	}
	list, _ := d.Deployment["resources"].([]any)
	byURN := map[string]map[string]any{}
	for _, each := range list {
		if r, ok := each.(map[string]any); ok {
			byURN[text(r, "urn")] = r
		}
	}
	kept := map[string]bool{}
	var keep func(urn string)
	keep = func(urn string) {
		if r := byURN[urn]; r != nil && !kept[urn] {
			kept[urn] = true
			keep(text(r, "parent"))
			// URN::ID
			if end := strings.LastIndex(text(r, "provider"), "::"); end >= 0 {
				keep(text(r, "provider")[:end])
			}
		}
	}
	for urn, r := range byURN {
		if slices.ContainsFunc(keptTypes, func(prefix string) bool { return strings.HasPrefix(text(r, "type"), prefix) }) {
			keep(urn)
		}
	}
	if len(kept) == 0 {
		return nil, errors.New("there is no secret in the state")
	}
	var left []any
	for _, each := range list { // in its order: parents first
		r, _ := each.(map[string]any)
		if !kept[text(r, "urn")] {
			continue
		}
		for _, field := range []string{"dependencies", "propertyDependencies", "deletedWith"} {
			delete(r, field)
		}
		left = append(left, r)
	}
	d.Deployment["resources"] = left
	delete(d.Deployment, "pending_operations")
	// Whoever imports it encrypts by its own means.
	delete(d.Deployment, "secrets_providers")
	return json.Marshal(d)
}

func text(r map[string]any, field string) string {
	value, _ := r[field].(string)
	return value
}
