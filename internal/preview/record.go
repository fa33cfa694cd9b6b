package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

// Resource is one resource the program asks for.
type Resource struct {
	URN string `json:"urn"`
	// Component is the layer or other component it belongs to.
	Component string `json:"component"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	// Digests are of the inputs by top-level property, secrets left out: what a
	// resource was made from cannot be read in them, only that it changed.
	Digests map[string]string `json:"digests"`
}

// Move is a layer's content before and after. From is empty for a layer that
// was not there, To for one that goes.
type Move struct {
	Version string `json:"version,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// tree is a layer in the output that names them.
type tree struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

// Recording collects what a preview wants from its events.
type Recording struct {
	plan      *progress.Plan
	output    string
	resources map[string]Resource
	trees     map[string]Move
}

// Record starts a recording; output is the stack's that names the layers.
func Record(output string) *Recording {
	return &Recording{plan: progress.NewPlan(), output: output, resources: map[string]Resource{}, trees: map[string]Move{}}
}

// Observe takes the next event.
func (r *Recording) Observe(e apitype.EngineEvent) {
	r.plan.Observe(e)
	if e.ResourcePreEvent != nil {
		r.want(e.ResourcePreEvent.Metadata)
	}
	if e.ResOutputsEvent != nil && e.ResOutputsEvent.Metadata.Type == "pulumi:pulumi:Stack" {
		m := e.ResOutputsEvent.Metadata
		for name, layer := range r.delivered(m.Old) {
			r.trees[name] = Move{Version: layer.Version, From: layer.Hash}
		}
		for name, layer := range r.delivered(m.New) {
			r.trees[name] = Move{Version: layer.Version, From: r.trees[name].From, To: layer.Hash}
		}
	}
}

func (r *Recording) want(m apitype.StepEventMetadata) {
	if m.New == nil || !m.New.Custom || strings.HasPrefix(m.Type, "pulumi:providers:") {
		return
	}
	res := Resource{
		URN: m.URN, Component: progress.Other, Kind: m.Type[strings.LastIndex(m.Type, ":")+1:],
		Name: afterLast(m.URN, "::"), Digests: map[string]string{},
	}
	if parent := m.New.Parent; parent != "" && !strings.Contains(parent, "::pulumi:pulumi:Stack::") {
		res.Component = afterLast(parent, "::")
	}
	for property, value := range m.New.Inputs {
		// Decoded from JSON, so it can be encoded; the keys come out sorted.
		text, _ := json.Marshal(value)
		sum := sha256.Sum256(text)
		res.Digests[property] = hex.EncodeToString(sum[:6])
	}
	r.resources[m.URN] = res
}

// list is sorted by component, kind and name.
func (r *Recording) list() []Resource {
	all := slices.Collect(maps.Values(r.resources))
	slices.SortFunc(all, func(a, b Resource) int { return strings.Compare(a.order(), b.order()) })
	return all
}

func (r Resource) order() string {
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
func (r *Recording) delivered(state *apitype.StepEventStateMetadata) map[string]tree {
	if state == nil {
		return nil
	}
	text, err := json.Marshal(state.Outputs[r.output])
	if err != nil {
		return nil
	}
	var layers map[string]tree
	if json.Unmarshal(text, &layers) != nil {
		return nil
	}
	return layers
}

// Report is what the preview of stack, which ended with result, would change.
func (r *Recording) Report(stack string, result automation.Result) *Report {
	return &Report{
		Stack: stack, Changed: result.Changed, Changes: result.Changes, Layers: r.plan.Phases(),
		Drift: result.Drift, Trees: r.trees, Resources: r.list(), Seconds: result.Seconds,
	}
}
