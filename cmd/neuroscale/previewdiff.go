package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/neuroscale-platform/neuroscale/internal/progress"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// wantedResource is one resource the program asks for.
type wantedResource struct {
	URN string `json:"urn"`
	// Component is the layer or other component it belongs to.
	Component string `json:"component"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	// Digests are of the inputs by top-level property, secrets left out: what a
	// resource was made from cannot be read in them, only that it changed.
	Digests map[string]string `json:"digests"`
}

// treeMove is a layer's content before and after. From is empty for a layer that
// was not there, To for one that goes.
type treeMove struct {
	Version string `json:"version,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// inventory collects what a preview wants from its events.
type inventory struct {
	resources map[string]wantedResource
	trees     map[string]treeMove
}

func newInventory() *inventory {
	return &inventory{resources: map[string]wantedResource{}, trees: map[string]treeMove{}}
}

func (i *inventory) observe(e apitype.EngineEvent) {
	if e.ResourcePreEvent != nil {
		i.want(e.ResourcePreEvent.Metadata)
	}
	if e.ResOutputsEvent != nil && e.ResOutputsEvent.Metadata.Type == "pulumi:pulumi:Stack" {
		m := e.ResOutputsEvent.Metadata
		for name, layer := range delivered(m.Old) {
			i.trees[name] = treeMove{Version: layer.Version, From: layer.Hash}
		}
		for name, layer := range delivered(m.New) {
			i.trees[name] = treeMove{Version: layer.Version, From: i.trees[name].From, To: layer.Hash}
		}
	}
}

func (i *inventory) want(m apitype.StepEventMetadata) {
	if m.New == nil || !m.New.Custom || strings.HasPrefix(m.Type, "pulumi:providers:") {
		return
	}
	r := wantedResource{
		URN: m.URN, Component: progress.Other, Kind: m.Type[strings.LastIndex(m.Type, ":")+1:],
		Name: afterLast(m.URN, "::"), Digests: map[string]string{},
	}
	if parent := m.New.Parent; parent != "" && !strings.Contains(parent, "::pulumi:pulumi:Stack::") {
		r.Component = afterLast(parent, "::")
	}
	for property, value := range m.New.Inputs {
		// Decoded from JSON, so it can be encoded; the keys come out sorted.
		text, _ := json.Marshal(value)
		sum := sha256.Sum256(text)
		r.Digests[property] = hex.EncodeToString(sum[:6])
	}
	i.resources[m.URN] = r
}

// list is sorted by component, kind and name.
func (i *inventory) list() []wantedResource {
	all := slices.Collect(maps.Values(i.resources))
	slices.SortFunc(all, func(a, b wantedResource) int { return strings.Compare(a.order(), b.order()) })
	return all
}

func (r wantedResource) order() string {
	return strings.Join([]string{r.Component, r.Kind, r.Name, r.URN}, "\x00")
}

func afterLast(s, separator string) string {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[i+len(separator):]
	}
	return s
}

// delivered reads the output that names the layers; before the first up and in
// an older program there is none.
func delivered(state *apitype.StepEventStateMetadata) map[string]stacks.Layer {
	if state == nil {
		return nil
	}
	text, err := json.Marshal(state.Outputs[stacks.OutputLayers])
	if err != nil {
		return nil
	}
	var layers map[string]stacks.Layer
	if json.Unmarshal(text, &layers) != nil {
		return nil
	}
	return layers
}

// readPreview reads what an earlier `preview -o json` printed.
func readPreview(file string) (*previewReport, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the preview to compare with (--base): %w", err)
	}
	var r previewReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("--base %s is not the -o json of a preview: %w", file, err)
	}
	if len(r.Resources) == 0 {
		return nil, fmt.Errorf("--base %s names no resources: make it with `neuroscale preview -o json`", file)
	}
	return &r, nil
}

// since makes the report one of the changes since base. A resource that would be
// replaced counts as updated: only the providers know, and they are not asked.
func (r *previewReport) since(base *previewReport) error {
	if base.Stack != r.Stack {
		return fmt.Errorf("it is a preview of stack %s, not of %s: make it with -s %s", base.Stack, r.Stack, r.Stack)
	}
	if len(r.Resources) == 0 {
		return errors.New("the preview itself has no resources, so there is nothing to compare")
	}
	before := map[string]wantedResource{}
	for _, res := range base.Resources {
		before[res.URN] = res
	}
	phases := map[string]*progress.PhaseChange{}
	clear(r.Changes)
	count := func(res wantedResource, op string, diffs []string) {
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
	trees := map[string]treeMove{}
	for name, tree := range base.Trees {
		trees[name] = treeMove{Version: tree.Version, From: tree.To}
	}
	for name, tree := range r.Trees {
		if tree.To != "" {
			trees[name] = treeMove{Version: tree.Version, From: trees[name].From, To: tree.To}
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
