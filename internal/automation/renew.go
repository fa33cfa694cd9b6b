package automation

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/neuroscale-platform/neuroscale/internal/github"
)

// renewing does something, and once more with the settings of now if those of the state
// are refused.
func (s *Stack) renewing(ctx context.Context, do func() error) error {
	err := do()
	if err == nil || s.Renewed == nil || !strings.Contains(err.Error(), github.UnknownToken) {
		return err
	}
	s.Log.Warn("a token of the last up is not known any more, taking the one there is now")
	if err := s.renew(ctx); err != nil {
		return err
	}
	return do()
}

// renew writes the secret settings of now into the state's providers.
func (s *Stack) renew(ctx context.Context) error {
	if s.Renewed == nil {
		return nil
	}
	settings := s.Renewed(ctx)
	if len(settings) == 0 {
		return nil
	}
	state, err := s.run(ctx, nil, "stack", "export")
	if err != nil {
		return s.explain("read the state of stack "+s.Options.Stack, err, nil)
	}
	changed, err := withSettings([]byte(state), settings)
	if err != nil || changed == nil {
		return err
	}
	if _, err := s.run(ctx, changed, "stack", "import"); err != nil {
		return s.explain("write the state of stack "+s.Options.Stack, err, nil)
	}
	return nil
}

// withSettings is a state whose providers have these secret settings in place of those
// they have; nil if none has. They are in plain text, which an import encrypts.
func withSettings(state []byte, settings map[string]map[string]string) ([]byte, error) {
	return withProviders(state, func(kind string, has map[string]any) bool {
		changed := false
		for name, value := range settings[kind] {
			if _, is := has[name]; !is || value == "" {
				continue
			}
			plain, err := json.Marshal(value)
			if err != nil {
				continue // no string is that
			}
			has[name] = map[string]any{resource.SigKey: resource.SecretSig, "plaintext": string(plain)}
			changed = true
		}
		return changed
	})
}
