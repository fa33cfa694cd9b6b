package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// errUnknown is of a call for something the stand-in does not have.
var errUnknown = errors.New("not supported")

// Failure is one property that a check refuses.
type Failure struct {
	Property string
	Reason   string
}

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

// Provider has resources, by type token. Of what is generated there is nothing
// outside the state, so reading returns what is known, deleting does nothing, and
// most changes make a new value. Property maps hold secrets and computed values as
// the engine sent them.
type Provider struct {
	// Package is what the provider serves, e.g. "random".
	Package string
	// Version is the version of the plugin it stands in for.
	Version string
	// Resources are those that are generated.
	Resources map[string]Generated
	// Managed are those that are somewhere.
	Managed map[string]Managed
	// Configure is told the provider's own inputs before anything else. It may be nil.
	Configure func(Values) error
}

// kind is what both kinds of resources have: what goes in, and what comes out.
type kind struct {
	fields           Fields
	secrets, outputs []string
	check            func(Values) []Failure
	inPlace          []string
}

func (p Provider) find(urn resource.URN) (kind, error) {
	token := string(urn.Type())
	if r, ok := p.Resources[token]; ok {
		return kind{r.Fields, r.Secrets, r.Outputs, r.Check, r.InPlace}, nil
	}
	if r, ok := p.Managed[token]; ok {
		return kind{r.Fields, nil, r.Outputs, r.Check, r.InPlace}, nil
	}
	known := slices.Sorted(maps.Keys(p.Resources))
	known = append(known, slices.Sorted(maps.Keys(p.Managed))...)
	return kind{}, fmt.Errorf("the stand-in for provider %s has no resource %s; it has %s", p.Package, token, strings.Join(known, ", "))
}

// check validates and completes inputs.
func (p Provider) check(urn resource.URN, news resource.PropertyMap) (resource.PropertyMap, []Failure) {
	r, err := p.find(urn)
	if err != nil {
		return nil, []Failure{{Reason: err.Error()}}
	}
	inputs, failures := r.fields.Complete(news)
	if len(failures) == 0 && r.check != nil && !inputs.ContainsUnknowns() {
		failures = r.check(Values(Plain(inputs)))
	}
	if m := p.Managed[string(urn.Type())]; len(failures) == 0 && m.Complete != nil {
		inputs, failures = m.Complete(inputs)
	}
	return inputs, failures
}

// diff says what an update would change.
func (p Provider) diff(urn resource.URN, oldInputs, oldOutputs, newInputs resource.PropertyMap) (Diff, error) {
	r, err := p.find(urn)
	if err != nil {
		return Diff{}, err
	}
	// Old inputs may come from the real plugin, which keeps other defaults.
	olds, _ := r.fields.Complete(oldInputs)
	diff := Compare(olds, newInputs)
	for _, path := range diff.Paths() {
		if !slices.ContainsFunc(r.inPlace, func(name string) bool { return within(path, name) }) {
			diff.Replace(path)
		}
	}
	if r := p.Resources[string(urn.Type())]; r.Renew != nil {
		state := Plain(oldOutputs)
		maps.Copy(state, Plain(newInputs))
		if property, due := r.Renew(Values(state)); due {
			diff.Replace(property)
		}
	}
	return diff, nil
}

// create makes the values, or in a preview says which there would be.
func (p Provider) create(ctx context.Context, urn resource.URN, inputs resource.PropertyMap, preview bool) (id string, outputs resource.PropertyMap, err error) {
	r, err := p.find(urn)
	if err != nil {
		return "", nil, err
	}
	outputs = inputs.Copy()
	if preview {
		unknown := resource.MakeComputed(resource.NewProperty(""))
		for _, name := range r.outputs {
			outputs[resource.PropertyKey(name)] = unknown
		}
		for _, name := range r.secrets {
			outputs[resource.PropertyKey(name)] = resource.MakeSecret(unknown)
		}
		return "", outputs, nil
	}
	var made map[string]any
	if m, ok := p.Managed[string(urn.Type())]; ok {
		id, made, err = m.Create(ctx, Values(Plain(inputs)))
	} else {
		id, made, err = p.Resources[string(urn.Type())].Make(Values(Plain(inputs)))
	}
	if err != nil {
		return "", nil, fmt.Errorf("creating %s %s: %w", urn.Type(), urn.Name(), err)
	}
	for name, value := range made {
		outputs[resource.PropertyKey(name)] = resource.NewPropertyValue(value)
	}
	for _, name := range r.secrets {
		if value, ok := outputs[resource.PropertyKey(name)]; ok && !value.IsSecret() {
			outputs[resource.PropertyKey(name)] = resource.MakeSecret(value)
		}
	}
	return id, outputs, nil
}

// update takes over inputs that change in place; no others have changed.
func update(oldInputs, oldOutputs, newInputs resource.PropertyMap) resource.PropertyMap {
	outputs := oldOutputs.Copy()
	maps.Copy(outputs, newInputs)
	for key := range oldInputs {
		if _, still := newInputs[key]; !still {
			delete(outputs, key)
		}
	}
	return outputs
}
