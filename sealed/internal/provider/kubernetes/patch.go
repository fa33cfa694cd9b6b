package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// isPatch tells whether a resource is one of the SDK's Patch resources, e.g.
// NamespacePatch: some fields of an object that belongs to somebody else.
func isPatch(urn resource.URN, inputs resource.PropertyMap) bool {
	kind, _ := stringAt(inputs, "kind")
	gvk, err := kindOf(urn)
	return err == nil && kind != "" && gvk.Kind == kind+"Patch"
}

// patchManager is the field manager of one Patch resource. Each has its own, so
// that several may patch one object and each gives up only its own fields.
func patchManager(urn resource.URN) string {
	sum := sha256.Sum256([]byte(urn))
	return fieldManager + "-" + hex.EncodeToString(sum[:4])
}

// release gives up the fields a Patch resource owns; the object itself stays.
func (p *Provider) release(ctx context.Context, c *cluster, urn resource.URN, object *unstructured.Unstructured, manager string) error {
	if _, err := c.get(ctx, object.GroupVersionKind(), p.namespaceOf(object), object.GetName()); err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	bare := &unstructured.Unstructured{Object: map[string]any{}}
	bare.SetGroupVersionKind(object.GroupVersionKind())
	bare.SetName(object.GetName())
	bare.SetNamespace(object.GetNamespace())
	_, _, err := p.applyOnce(ctx, c, application{urn: urn, object: bare, manager: manager, force: true})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
