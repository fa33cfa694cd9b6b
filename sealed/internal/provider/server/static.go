package server

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Static is the part that providers of generated values share: they have no
// configuration and nothing outside the state, so reading returns what is known,
// deleting does nothing, and any change makes a new value.
type Static struct{ Package, PluginVersion string }

// Name implements Provider.
func (s Static) Name() string { return s.Package }

// Version implements Provider.
func (s Static) Version() string { return s.PluginVersion }

// CheckConfig implements Provider.
func (Static) CheckConfig(_ context.Context, news resource.PropertyMap) (resource.PropertyMap, []Failure, error) {
	return news, nil, nil
}

// DiffConfig implements Provider.
func (Static) DiffConfig(_ context.Context, olds, news resource.PropertyMap) (Diff, error) {
	diff := Compare(olds, news)
	delete(diff.Changes, "version")
	return diff, nil
}

// Configure implements Provider.
func (Static) Configure(context.Context, resource.PropertyMap) error { return nil }

// Read implements Provider.
func (Static) Read(_ context.Context, req ReadRequest) (State, error) {
	if len(req.Outputs) == 0 {
		return State{}, fmt.Errorf("%s cannot be imported: the stand-in knows only values it generated itself", req.URN.Type())
	}
	return State{ID: req.ID, Inputs: req.Inputs, Outputs: req.Outputs}, nil
}

// Update implements Provider. It is only reached when nothing that makes the
// value has changed, so the outputs stay.
func (Static) Update(_ context.Context, req UpdateRequest) (resource.PropertyMap, error) {
	return req.OldOutputs, nil
}

// Delete implements Provider.
func (Static) Delete(context.Context, DeleteRequest) error { return nil }

// Invoke implements Provider.
func (s Static) Invoke(_ context.Context, token string, _ resource.PropertyMap) (resource.PropertyMap, []Failure, error) {
	return nil, nil, fmt.Errorf("function %s: the stand-in for provider %s has no functions: %w", token, s.Package, ErrNotSupported)
}
