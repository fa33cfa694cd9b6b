package recorder

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// MustRun is Run for a program that has to succeed.
func MustRun(t *testing.T, program pulumi.RunFunc, o Options) *Recording {
	t.Helper()
	r, err := Run(program, o)
	require.NoError(t, err)
	return r
}

// Object is the Kubernetes object of a registration as plain data: secrets are
// the text they protect.
func (g *Registration) Object() map[string]any {
	return plain(resource.NewObjectProperty(g.Inputs)).(map[string]any)
}

func plain(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return plain(v.SecretValue().Element)
	case v.IsObject():
		out := map[string]any{}
		for key, value := range v.ObjectValue() {
			out[string(key)] = plain(value)
		}
		return out
	case v.IsArray():
		out := []any{}
		for _, value := range v.ArrayValue() {
			out = append(out, plain(value))
		}
		return out
	}
	return v.V
}

// At follows path through maps ("a.b") and lists ("0"); nil if it leads nowhere.
func At(value any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// ObjectName is the metadata.name of the Kubernetes object, "" for other things.
func (g *Registration) ObjectName() string {
	name, _ := At(g.Object(), "metadata.name").(string)
	return name
}

// Kind is the Kubernetes kind, "" for other things.
func (g *Registration) Kind() string {
	if kind, ok := strings.CutPrefix(g.Type, "kubernetes:"); ok {
		return kind[strings.LastIndex(kind, ":")+1:]
	}
	return ""
}

// Kind of all objects of that kind.
func (r *Recording) Kind(kind string) []*Registration {
	var out []*Registration
	for _, g := range r.Registrations {
		if g.Kind() == kind {
			out = append(out, g)
		}
	}
	return out
}

// Get is the one object of kind whose metadata.name is name, or begins with what
// comes before a final *.
func (r *Recording) Get(t *testing.T, kind, name string) *Registration {
	t.Helper()
	var found []*Registration
	var names []string
	for _, g := range r.Kind(kind) {
		names = append(names, g.ObjectName())
		prefix, open := strings.CutSuffix(name, "*")
		if g.ObjectName() == name || open && strings.HasPrefix(g.ObjectName(), prefix) {
			found = append(found, g)
		}
	}
	require.Lenf(t, found, 1, "%s %s among %v", kind, name, names)
	return found[0]
}

// Type is the one registration of that type and logical name.
func (r *Recording) Type(t *testing.T, token, name string) *Registration {
	t.Helper()
	i := slices.IndexFunc(r.Registrations, func(g *Registration) bool { return g.Type == token && g.Name == name })
	require.GreaterOrEqualf(t, i, 0, "%s %s was not registered", token, name)
	return r.Registrations[i]
}

// Waits is true if g depends on other, directly or through others.
func (r *Recording) Waits(g, other *Registration) bool {
	byURN := map[string]*Registration{}
	for _, each := range r.Registrations {
		byURN[each.URN] = each
	}
	seen := map[string]bool{}
	var reach func(*Registration) bool
	reach = func(from *Registration) bool {
		for _, urn := range from.Dependencies {
			if urn == other.URN {
				return true
			}
			if next := byURN[urn]; next != nil && !seen[urn] {
				seen[urn] = true
				if reach(next) {
					return true
				}
			}
		}
		return false
	}
	return reach(g)
}

// AssertBelongs fails for every resource without a parent, every Kubernetes
// object not applied by the one provider, and every URN registered twice.
// Components named in roots, and resources given there as type::name, may have the
// stack for a parent.
func (r *Recording) AssertBelongs(t *testing.T, roots ...string) {
	t.Helper()
	seen := map[string]bool{}
	provider := ""
	for _, g := range r.Registrations {
		if g.Type == "pulumi:providers:kubernetes" {
			assert.Emptyf(t, provider, "a second provider: %s", g.URN)
			provider = g.URN + "::" + g.Name + "-id"
		}
	}
	require.NotEmpty(t, provider, "no provider of the cluster")
	for _, g := range r.Registrations {
		assert.Falsef(t, seen[g.URN], "registered twice: %s", g.URN)
		seen[g.URN] = true
		if strings.HasPrefix(g.Type, "kubernetes:") {
			assert.Equalf(t, provider, g.Provider, "provider of %s", g.URN)
		}
		if slices.Contains(roots, g.Name) && !g.Custom || slices.Contains(roots, g.Type+"::"+g.Name) || strings.HasPrefix(g.Type, "pulumi:providers:") {
			continue
		}
		assert.NotContainsf(t, g.Parent, "pulumi:pulumi:Stack", "%s has no component as parent", g.URN)
		assert.NotEmptyf(t, g.Parent, "%s has no parent", g.URN)
	}
}

// AssertSecret fails unless the input key of g is wholly secret, and stays so in
// the state.
func (g *Registration) AssertSecret(t *testing.T, key string) {
	t.Helper()
	value := g.Inputs[resource.PropertyKey(key)]
	assert.Truef(t, value.IsSecret(), "%s of %s is readable: %v", key, g.URN, value)
	assert.Containsf(t, g.SecretOutputs, key, "%s of %s in the state", key, g.URN)
}

// AssertNoSecretOutside fails for every registered object, Secrets aside, that has
// one of texts anywhere in its inputs.
func (r *Recording) AssertNoSecretOutside(t *testing.T, texts ...string) {
	t.Helper()
	for _, g := range r.Registrations {
		if !strings.HasPrefix(g.Type, "kubernetes:") || g.Kind() == "Secret" {
			continue
		}
		content := fmt.Sprint(g.Object())
		for _, text := range texts {
			assert.NotContainsf(t, content, text, "a secret is in %s", g.URN)
		}
	}
}

// Component runs build with the options a component gets in the stack: a
// provider of the cluster.
func Component(t *testing.T, build func(ctx *pulumi.Context, on pulumi.ResourceOption) error) *Recording {
	t.Helper()
	return MustRun(t, func(ctx *pulumi.Context) error {
		provider, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		return build(ctx, pulumi.Providers(provider))
	}, Options{})
}

// Refusal is the error of build, which must have registered nothing.
func Refusal(t *testing.T, build func(ctx *pulumi.Context) error) string {
	t.Helper()
	r, err := Run(build, Options{})
	require.Error(t, err)
	assert.Empty(t, r.Registrations, "registered before the Args were looked at")
	return err.Error()
}
