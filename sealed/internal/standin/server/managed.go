package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// ErrGone is that what a resource stands for is not there.
var ErrGone = errors.New("it is gone")

// Managed is a resource that is somewhere outside the state.
type Managed struct {
	Fields Fields
	// Outputs are names of what is only known once it is there.
	Outputs []string
	// Check finds what is wrong with complete, known inputs. It may be nil.
	Check func(Values) []Failure
	// Complete adds to checked inputs what follows from them, or refuses them. Some may
	// not be known yet. It may be nil.
	Complete func(resource.PropertyMap) (resource.PropertyMap, []Failure)
	// InPlace lists inputs that Update changes; any other change replaces.
	InPlace []string
	// Remade is that an update makes the outputs anew: a preview does not know them.
	Remade bool
	// Create makes it and returns its ID and the outputs. One that fails leaves
	// nothing behind.
	Create func(ctx context.Context, inputs Values) (id string, outputs map[string]any, err error)
	// Read returns the outputs as they are now, or ErrGone.
	Read func(ctx context.Context, id string, state Values) (outputs map[string]any, err error)
	// Update changes what is in InPlace, and returns the outputs that are others now. It
	// may be nil if nothing is in InPlace.
	Update func(ctx context.Context, id string, inputs Values) (outputs map[string]any, err error)
	// Delete removes it; one that is gone is no error.
	Delete func(ctx context.Context, id string, state Values) error
}

// read is the state with what is there now; nil if it is gone.
func (p Provider) read(ctx context.Context, urn resource.URN, id string, state resource.PropertyMap) (resource.PropertyMap, error) {
	m, ok := p.Managed[string(urn.Type())]
	if !ok {
		return state, nil
	}
	now, err := m.Read(ctx, id, Values(Plain(state)))
	if errors.Is(err, ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", urn.Type(), urn.Name(), err)
	}
	state = state.Copy()
	for name, value := range now {
		state[resource.PropertyKey(name)] = resource.NewPropertyValue(value)
	}
	return state, nil
}

// change brings inputs that change in place to what is there, and returns the state
// after it.
func (p Provider) change(ctx context.Context, urn resource.URN, id string, oldInputs, oldOutputs, inputs resource.PropertyMap, preview bool) (resource.PropertyMap, error) {
	outputs := update(oldInputs, oldOutputs, inputs)
	m, ok := p.Managed[string(urn.Type())]
	if !ok || m.Update == nil {
		return outputs, nil
	}
	if preview {
		if m.Remade {
			for _, name := range m.Outputs {
				outputs[resource.PropertyKey(name)] = resource.MakeComputed(resource.NewProperty(""))
			}
		}
		return outputs, nil
	}
	made, err := m.Update(ctx, id, Values(Plain(inputs)))
	if err != nil {
		return nil, fmt.Errorf("changing %s %s: %w", urn.Type(), urn.Name(), err)
	}
	for name, value := range made {
		outputs[resource.PropertyKey(name)] = resource.NewPropertyValue(value)
	}
	return outputs, nil
}

func (p Provider) remove(ctx context.Context, urn resource.URN, id string, state resource.PropertyMap) error {
	m, ok := p.Managed[string(urn.Type())]
	if !ok {
		return nil
	}
	if err := m.Delete(ctx, id, Values(Plain(state))); err != nil && !errors.Is(err, ErrGone) {
		return fmt.Errorf("deleting %s %s: %w", urn.Type(), urn.Name(), err)
	}
	return nil
}
