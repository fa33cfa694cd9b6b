package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Create implements server.Provider. An object that already exists is taken
// over, as server-side apply does.
func (p *Provider) Create(ctx context.Context, req server.CreateRequest) (string, resource.PropertyMap, error) {
	ctx = withURN(ctx, req.URN)
	if req.Preview {
		outputs, err := p.preview(ctx, req.URN, req.Inputs, "")
		return "", outputs, err
	}
	object, err := toObject(req.Inputs)
	if err != nil {
		return "", nil, fmt.Errorf("creating %s: %w", req.URN.Name(), err)
	}
	state, err := p.put(ctx, "creating", putRequest{urn: req.URN, inputs: req.Inputs, object: object, timeout: req.Timeout})
	return state.ID, state.Outputs, err
}

// Update implements server.Provider. An object that has vanished is made again.
func (p *Provider) Update(ctx context.Context, req server.UpdateRequest) (resource.PropertyMap, error) {
	ctx = withURN(ctx, req.URN)
	if req.Preview {
		return p.preview(ctx, req.URN, req.NewInputs, req.ID)
	}
	object, err := toObject(req.NewInputs)
	if err != nil {
		return nil, fmt.Errorf("updating %s: %w", req.URN.Name(), err)
	}
	identify(object, req.ID)
	manager, _ := stringAt(req.OldOutputs, keyFieldManager)
	state, err := p.put(ctx, "updating", putRequest{
		urn: req.URN, inputs: req.NewInputs, object: object, timeout: req.Timeout, manager: manager,
	})
	return state.Outputs, err
}

// identify gives an object whose name the server chose the name it got.
func identify(object *unstructured.Unstructured, id string) {
	if object.GetName() != "" || id == "" {
		return
	}
	namespace, name := splitID(id)
	object.SetName(name)
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
}

type putRequest struct {
	urn     resource.URN
	inputs  resource.PropertyMap
	object  *unstructured.Unstructured
	timeout time.Duration
	manager string
}

// put applies an object and waits until it is ready.
func (p *Provider) put(ctx context.Context, doing string, req putRequest) (server.State, error) {
	what := describe(req.object)
	fail := func(err error) (server.State, error) {
		return server.State{}, fmt.Errorf("%s %s: %w", doing, what, err)
	}
	c, err := p.reach(ctx)
	if err != nil {
		return fail(err)
	}
	limit := timeoutFor(req.timeout, req.object)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	a := p.application(req.urn, req.inputs, req.object)
	if req.manager != "" && annotation(req.inputs, annotationFieldManager) == "" {
		a.manager = req.manager
	}
	if isPatch(req.urn, req.inputs) {
		if _, err := c.get(ctx, req.object.GroupVersionKind(), p.namespaceOf(req.object), req.object.GetName()); err != nil {
			return fail(err)
		}
	}
	live, kind, err := p.apply(ctx, c, a)
	if err != nil {
		return fail(err)
	}
	live, err = p.await(ctx, c, kind, req.urn, live, limit)
	state := server.State{
		ID:      objectID(live.GetNamespace(), live.GetName()),
		Inputs:  req.inputs,
		Outputs: toOutputs(live, req.inputs, a.manager),
	}
	if err != nil {
		reasons := []string{err.Error()}
		var failed *awaitError
		if errors.As(err, &failed) {
			reasons = append([]string{failed.reason}, failed.details...)
		}
		return server.State{}, &server.InitError{State: state, Reasons: reasons}
	}
	return state, nil
}

func (p *Provider) application(urn resource.URN, inputs resource.PropertyMap, object *unstructured.Unstructured) application {
	p.mu.Lock()
	force := p.config.patchForce || !p.config.serverSideApply
	p.mu.Unlock()
	a := application{urn: urn, object: object, manager: fieldManager, force: force || annotation(inputs, annotationPatchForce) == "true"}
	if isPatch(urn, inputs) {
		a.manager = patchManager(urn)
	}
	if manager := annotation(inputs, annotationFieldManager); manager != "" {
		a.manager = manager
	}
	return a
}

// preview says what an apply would give: the inputs, with the status unknown. A
// cluster that is there is asked whether it would take the object; only its
// verdict that the object itself is malformed counts, because what else it
// refuses may be about to change.
func (p *Provider) preview(ctx context.Context, urn resource.URN, inputs resource.PropertyMap, id string) (resource.PropertyMap, error) {
	outputs := inputs.Copy()
	outputs["status"] = resource.MakeComputed(resource.NewProperty(""))
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := p.reach(ctx)
	if err != nil {
		p.warnOffline(ctx, urn, err)
		return outputs, nil
	}
	if inputs.ContainsUnknowns() {
		return outputs, nil
	}
	object, err := toObject(inputs)
	if err != nil {
		return nil, err
	}
	identify(object, id)
	a := p.application(urn, inputs, object)
	a.dryRun = true
	if _, _, err := p.apply(ctx, c, a); apierrors.IsInvalid(err) {
		return nil, fmt.Errorf("%s would be refused: %w", describe(object), err)
	}
	return outputs, nil
}

// namespaceOf is the namespace a namespaced object is in.
func (p *Provider) namespaceOf(object *unstructured.Unstructured) string {
	if namespace := object.GetNamespace(); namespace != "" {
		return namespace
	}
	return p.defaultNamespace()
}
