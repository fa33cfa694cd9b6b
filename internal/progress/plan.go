package progress

import (
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Plan collects what a preview says would change, by phase.
type Plan struct {
	mu      sync.Mutex
	phaseOf map[string]string
	phases  []*PhaseChange
}

// PhaseChange is what would happen in one component or layer.
type PhaseChange struct {
	Name string `json:"name"`
	// Changes counts steps by kind, unchanged resources ("same") too.
	Changes map[string]int `json:"changes"`
	// Resources are those that would change.
	Resources []ResourceChange `json:"resources"`
}

// ResourceChange is one step.
type ResourceChange struct {
	Op   string `json:"op"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Diffs are the top-level properties that differ.
	Diffs []string `json:"diffs,omitempty"`
}

// NewPlan makes an empty one.
func NewPlan() *Plan { return &Plan{phaseOf: map[string]string{}} }

// Observe takes in one event of a preview.
func (p *Plan) Observe(e apitype.EngineEvent) {
	if e.ResourcePreEvent == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := e.ResourcePreEvent.Metadata
	state := stateOf(m)
	if state == nil {
		return
	}
	if !state.Custom {
		p.phaseOf[m.URN] = phaseFor(m.Type, nameOf(m.URN), p.phaseOf[state.Parent])
		return
	}
	op := string(m.Op)
	if isProvider(m.Type) || op == string(apitype.OpCreateReplacement) || op == string(apitype.OpDeleteReplaced) {
		return // "replace" stands for both
	}
	name := p.phaseOf[state.Parent]
	if name == "" {
		name = phaseFromParent(state.Parent)
	}
	phase := p.phase(name)
	phase.Changes[op]++
	if m.Op == apitype.OpSame || m.Op == apitype.OpRead {
		return
	}
	phase.Resources = append(phase.Resources, ResourceChange{Op: op, Kind: kind(m.Type), Name: nameOf(m.URN), Diffs: m.Diffs})
}

func (p *Plan) phase(name string) *PhaseChange {
	for _, c := range p.phases {
		if c.Name == name {
			return c
		}
	}
	c := &PhaseChange{Name: name, Changes: map[string]int{}, Resources: []ResourceChange{}}
	p.phases = append(p.phases, c)
	return c
}

// Changes counts the steps of all phases by kind.
func (p *Plan) Changes() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int{}
	for _, c := range p.phases {
		for op, n := range c.Changes {
			all[op] += n
		}
	}
	return all
}

// Phases are in the order they were first met, resources sorted by kind and name.
func (p *Plan) Phases() []PhaseChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]PhaseChange, 0, len(p.phases))
	for _, c := range p.phases {
		slices.SortStableFunc(c.Resources, func(a, b ResourceChange) int {
			return strings.Compare(a.Kind+"\x00"+a.Name, b.Kind+"\x00"+b.Name)
		})
		out = append(out, *c)
	}
	return out
}
