package preview

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

// Read takes what an earlier `preview -o json` printed.
func Read(raw []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("it is not the -o json of a preview: %w", err)
	}
	if len(r.Resources) == 0 {
		return nil, errors.New("it names no resources: make it with `neuroscale preview -o json`")
	}
	return &r, nil
}

// Since makes the report one of the changes since base. A resource that would be
// replaced counts as updated: only the providers know, and they are not asked.
func (r *Report) Since(base *Report) error {
	if base.Stack != r.Stack {
		return fmt.Errorf("it is a preview of stack %s, not of %s: make it with -s %s", base.Stack, r.Stack, r.Stack)
	}
	if len(r.Resources) == 0 {
		return errors.New("the preview itself has no resources, so there is nothing to compare")
	}
	before := map[string]Resource{}
	for _, res := range base.Resources {
		before[res.URN] = res
	}
	phases := map[string]*progress.PhaseChange{}
	clear(r.Changes)
	count := func(res Resource, op string, diffs []string) {
		phase := phases[res.Component]
		if phase == nil {
			phase = &progress.PhaseChange{Name: res.Component, Changes: map[string]int{}, Resources: []progress.ResourceChange{}}
			phases[res.Component] = phase
		}
		phase.Changes[op]++
		r.Changes[op]++
		if op != string(apitype.OpSame) {
			phase.Resources = append(phase.Resources, progress.ResourceChange{Op: op, Kind: res.Kind, Name: res.Name, Diffs: diffs})
		}
	}
	for _, res := range r.Resources {
		old, there := before[res.URN]
		delete(before, res.URN)
		switch diffs := differing(old.Digests, res.Digests); {
		case !there:
			count(res, string(apitype.OpCreate), nil)
		case len(diffs) > 0:
			count(res, string(apitype.OpUpdate), diffs)
		default:
			count(res, string(apitype.OpSame), nil)
		}
	}
	for _, urn := range sortedKeys(before) {
		count(before[urn], string(apitype.OpDelete), nil)
	}
	r.Layers = nil
	for _, name := range sortedKeys(phases) {
		r.Layers = append(r.Layers, *phases[name])
	}
	trees := map[string]Move{}
	for name, tree := range base.Trees {
		trees[name] = Move{Version: tree.Version, From: tree.To}
	}
	for name, tree := range r.Trees {
		if tree.To != "" {
			trees[name] = Move{Version: tree.Version, From: trees[name].From, To: tree.To}
		}
	}
	r.Trees, r.Base, r.Changed = trees, true, r.Changes.Any()
	return nil
}

// differing are the keys whose values are not the same in both, sorted.
func differing(a, b map[string]string) []string {
	var keys []string
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
