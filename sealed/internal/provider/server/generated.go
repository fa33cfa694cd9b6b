package server

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Generated is a resource whose outputs are made once from its inputs.
type Generated struct {
	Fields Fields
	// Secrets are the outputs that are always secret, Outputs the others.
	Secrets, Outputs []string
	// Check finds what is wrong with complete, known inputs. It may be nil.
	Check func(Values) []Failure
	// Make returns the ID and the outputs that are not inputs.
	Make func(Values) (id string, outputs map[string]any, err error)
	// Renew tells whether existing outputs, with the new inputs over them, have
	// run out at the time of a diff, and names the property that says so. It may
	// be nil.
	Renew func(state Values) (property string, due bool)
	// InPlace lists inputs whose change does not make a new value.
	InPlace []string
}

// Generator is a provider of Generated resources by type token.
type Generator struct {
	Static
	Resources map[string]Generated
}

func (g Generator) find(urn resource.URN) (Generated, error) {
	if r, ok := g.Resources[string(urn.Type())]; ok {
		return r, nil
	}
	known := make([]string, 0, len(g.Resources))
	for token := range g.Resources {
		known = append(known, token)
	}
	sort.Strings(known)
	return Generated{}, fmt.Errorf("the stand-in for provider %s has no resource %s; it has %s", g.Package, urn.Type(), strings.Join(known, ", "))
}

// Check implements Provider.
func (g Generator) Check(_ context.Context, req CheckRequest) (resource.PropertyMap, []Failure, error) {
	r, err := g.find(req.URN)
	if err != nil {
		return nil, []Failure{{Reason: err.Error()}}, nil
	}
	inputs, failures := r.Fields.Complete(req.News)
	if len(failures) == 0 && r.Check != nil && !inputs.ContainsUnknowns() {
		failures = r.Check(Values(Plain(inputs)))
	}
	return inputs, failures, nil
}

// Diff implements Provider.
func (g Generator) Diff(_ context.Context, req DiffRequest) (Diff, error) {
	r, err := g.find(req.URN)
	if err != nil {
		return Diff{}, err
	}
	// Old inputs may come from the real plugin, which keeps other defaults.
	olds, _ := r.Fields.Complete(req.OldInputs)
	diff := Compare(olds, req.NewInputs)
	for _, path := range diff.Paths() {
		inPlace := false
		for _, name := range r.InPlace {
			inPlace = inPlace || Within(path, name)
		}
		if !inPlace {
			diff.Replace(path)
		}
	}
	if r.Renew != nil {
		state := Plain(req.OldOutputs)
		for key, value := range Plain(req.NewInputs) {
			state[key] = value
		}
		if property, due := r.Renew(Values(state)); due {
			diff.Replace(property)
		}
	}
	return diff, nil
}

// Create implements Provider.
func (g Generator) Create(_ context.Context, req CreateRequest) (string, resource.PropertyMap, error) {
	r, err := g.find(req.URN)
	if err != nil {
		return "", nil, err
	}
	outputs := req.Inputs.Copy()
	if req.Preview {
		unknown := resource.MakeComputed(resource.NewProperty(""))
		for _, name := range r.Outputs {
			outputs[resource.PropertyKey(name)] = unknown
		}
		for _, name := range r.Secrets {
			outputs[resource.PropertyKey(name)] = resource.MakeSecret(unknown)
		}
		return "", outputs, nil
	}
	id, made, err := r.Make(Values(Plain(req.Inputs)))
	if err != nil {
		return "", nil, fmt.Errorf("creating %s %s: %w", req.URN.Type(), req.URN.Name(), err)
	}
	for name, value := range made {
		outputs[resource.PropertyKey(name)] = resource.NewPropertyValue(value)
	}
	for _, name := range r.Secrets {
		if value, ok := outputs[resource.PropertyKey(name)]; ok && !value.IsSecret() {
			outputs[resource.PropertyKey(name)] = resource.MakeSecret(value)
		}
	}
	return id, outputs, nil
}

// Update implements Provider: only inputs that change in place have changed.
func (g Generator) Update(_ context.Context, req UpdateRequest) (resource.PropertyMap, error) {
	outputs := req.OldOutputs.Copy()
	for key, value := range req.NewInputs {
		outputs[key] = value
	}
	for key := range req.OldInputs {
		if _, still := req.NewInputs[key]; !still {
			delete(outputs, key)
		}
	}
	return outputs, nil
}
