package render

import (
	"errors"
	"fmt"
	"slices"
)

// Replicas is how many pods a Deployment of an available layer has.
const Replicas = 2

// Available is the same tree with Replicas pods of each of these Deployments, on
// different nodes where there are some, of which whoever empties a node takes one at a
// time. It is patched and has more objects then. The error names every Deployment and
// every patched object that the tree does not have.
func (t *Tree) Available(deployments []string, patches []Patch, more []map[string]any) (*Tree, error) {
	var problems []error
	for _, name := range deployments {
		patch, budget, err := t.available(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		patches, more = append(patches[:len(patches):len(patches)], patch), append(more[:len(more):len(more)], budget)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("layer %s: %w", t.name, err)
	}
	out, err := t.changed(patches, more)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", t.name, err)
	}
	return out, nil
}

func (t *Tree) available(name string) (patch Patch, budget map[string]any, err error) {
	for _, o := range t.objects {
		if kindOf(o) != "Deployment" || nameOf(o) != name {
			continue
		}
		spec, _ := o["spec"].(map[string]any)
		selector, _ := spec["selector"].(map[string]any)
		if len(selector) == 0 {
			return Patch{}, nil, fmt.Errorf("Deployment %s selects no pods", name)
		}
		patch = Patch{Kind: "Deployment", Namespace: namespaceOf(o), Name: name, Merge: map[string]any{"spec": map[string]any{
			"replicas": Replicas,
			"template": map[string]any{"spec": map[string]any{"topologySpreadConstraints": []any{map[string]any{
				// A cluster of one node has both there.
				"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
				"labelSelector": selector, "matchLabelKeys": []any{"pod-template-hash"},
			}}}},
		}}}
		return patch, map[string]any{
			"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
			"metadata": map[string]any{"name": name, "namespace": namespaceOf(o)},
			"spec": map[string]any{
				"maxUnavailable": 1, "selector": selector,
				// A node with a pod that never gets ready can still be emptied.
				"unhealthyPodEvictionPolicy": "AlwaysAllow",
			},
		}, nil
	}
	return Patch{}, nil, fmt.Errorf("there is no Deployment %s that could have more pods", name)
}

// changed is the tree with patches and more objects.
func (t *Tree) changed(patches []Patch, more []map[string]any) (*Tree, error) {
	data := map[string][]byte{}
	for _, f := range t.files {
		data[f.name] = f.data
	}
	var entries []entry
	for _, o := range t.objects {
		entries = append(entries, entry{object: o, text: data[fileName(o)]})
	}
	entries, err := apply(entries, patches)
	if err != nil {
		return nil, err
	}
	for _, object := range more {
		if object, err = normal(object); err != nil {
			return nil, err
		}
		e, err := write(object)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return byApplyOrder(a.object, b.object) })
	return treeFrom(t.name, t.version, t.upstream, t.IsKustomization(), entries)
}
