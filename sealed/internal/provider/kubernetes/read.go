package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Read implements server.Provider, for refresh and, without inputs, for import
// by namespace/name.
func (p *Provider) Read(ctx context.Context, req server.ReadRequest) (server.State, error) {
	ctx = withURN(ctx, req.URN)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	object, err := located(req.URN, req.ID, req.Inputs, req.Outputs)
	if err != nil {
		return server.State{}, err
	}
	what := describe(object)
	c, err := p.reach(ctx)
	if err != nil {
		p.mu.Lock()
		drop := p.config.deleteUnreachable
		p.mu.Unlock()
		if drop && ctx.Err() == nil {
			p.host.Warn(ctx, req.URN, fmt.Sprintf("%s is dropped from the state: %v", what, err))
			return server.State{}, nil
		}
		return server.State{}, fmt.Errorf("reading %s: %w; if the cluster is gone for good, set PULUMI_K8S_DELETE_UNREACHABLE=true "+
			"(or the provider's deleteUnreachable) to drop its resources from the state", what, err)
	}
	live, err := c.get(ctx, object.GroupVersionKind(), p.namespaceOf(object), object.GetName())
	if gone(err) {
		return server.State{}, nil
	}
	if err != nil {
		return server.State{}, fmt.Errorf("reading %s: %w", what, err)
	}
	manager, _ := stringAt(req.Outputs, keyFieldManager)
	state := server.State{ID: objectID(live.GetNamespace(), live.GetName())}
	if len(req.Inputs) == 0 {
		state.Inputs = importedInputs(live)
	} else {
		state.Inputs = refreshedInputs(req.Inputs, live)
	}
	state.Outputs = toOutputs(live, state.Inputs, manager)
	return state, nil
}

// located says which object a resource in the state is: its kind from the
// outputs, the inputs or the type, its place from the ID.
func located(urn resource.URN, id string, inputs, outputs resource.PropertyMap) (*unstructured.Unstructured, error) {
	gvk, err := kindOf(urn)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	for _, props := range []resource.PropertyMap{outputs, inputs} {
		if known, ok := inputKind(props); ok && known.Kind != "" && known.Version != "" {
			gvk = known
			if props.ContainsUnknowns() {
				break
			}
			if full, err := toObject(props); err == nil {
				object = full
			}
			break
		}
	}
	if len(inputs) == 0 && len(outputs) == 0 {
		// An import: nothing but the type and the ID is known. The type of a
		// Patch resource names the kind it patches.
		gvk = schema.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: strings.TrimSuffix(gvk.Kind, "Patch")}
	}
	object.SetGroupVersionKind(gvk)
	namespace, name := splitID(id)
	if name == "" {
		return nil, fmt.Errorf("ID %q names no object: want namespace/name, or name for a kind without namespaces", id)
	}
	object.SetName(name)
	object.SetNamespace(namespace)
	return object, nil
}
