// Package progress follows an operation of the engine: which phase (component or
// layer) is at work on what, how far it is, and how long each took.
package progress

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Other is the phase of resources that belong to no component.
const Other = "stack"

// layerToken ends the type of the component that delivers one layer: a layer is
// a phase of its own even inside another component.
const layerToken = ":Layer"

// Tracker turns engine events into phases. It is safe for concurrent use.
type Tracker struct {
	mu      sync.Mutex
	now     func() time.Time
	started time.Time
	phases  []*phase
	byName  map[string]*phase
	phaseOf map[string]string // component URN -> phase
	done    map[string]bool   // resource URN -> finished
	diags   map[string]string // resource URN -> what its provider last said
}

type phase struct {
	name           string
	declared, done int
	changed        int
	failed         bool
	task           bool
	started, ended time.Time
	active         []active
}

type active struct {
	urn, what string
	since     time.Time
}

// NewTracker starts the clock. now is time.Now but for tests.
func NewTracker(now func() time.Time) *Tracker {
	if now == nil {
		now = time.Now
	}
	return &Tracker{
		now: now, started: now(), byName: map[string]*phase{}, phaseOf: map[string]string{},
		done: map[string]bool{}, diags: map[string]string{},
	}
}

// Snapshot is the state at one moment, safe to keep.
type Snapshot struct {
	Elapsed    time.Duration
	Done, Of   int
	Changed    int
	Phases     []Phase
	Diagnostic string
}

// Phase is the state of one component or layer.
type Phase struct {
	Name string
	// Done of Of resources are as wanted; Changed of them were touched.
	Done, Of, Changed int
	Failed            bool
	// Task is whether it is none of the engine's: it has no resources.
	Task bool
	// Running is whether something is being worked on now.
	Running bool
	// Since the operation's start; Took is zero before the phase began.
	Start, Took time.Duration
	// Doing is the oldest step being worked on, with what is waited for.
	Doing string
}

// Complete is whether everything known of the phase is done.
func (p Phase) Complete() bool {
	return (p.Task || p.Of > 0) && p.Done >= p.Of && !p.Running && !p.Failed
}

// Seconds the phase took.
func (p Phase) Seconds() float64 { return p.Took.Seconds() }

func (t *Tracker) phase(name string) *phase {
	p := t.byName[name]
	if p == nil {
		p = &phase{name: name}
		t.byName[name] = p
		t.phases = append(t.phases, p)
	}
	return p
}

// Declare counts one more resource the program will ask for.
func (t *Tracker) Declare(phaseName string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase(phaseName).declared++
}

// Observe takes in one event.
func (t *Tracker) Observe(e apitype.EngineEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case e.ResourcePreEvent != nil:
		t.begin(e.ResourcePreEvent.Metadata)
	case e.ResOutputsEvent != nil:
		t.end(e.ResOutputsEvent.Metadata, false)
	case e.ResOpFailedEvent != nil:
		t.end(e.ResOpFailedEvent.Metadata, true)
	case e.DiagnosticEvent != nil:
		d := e.DiagnosticEvent
		if d.URN != "" && d.Severity != "debug" {
			t.diags[d.URN] = firstLine(d.Message)
		}
	}
}

// stateOf is what a step makes of its resource or, if it deletes it, what it was.
func stateOf(m apitype.StepEventMetadata) *apitype.StepEventStateMetadata {
	if m.New != nil {
		return m.New
	}
	return m.Old
}

func (t *Tracker) begin(m apitype.StepEventMetadata) {
	state := stateOf(m)
	if state == nil {
		return
	}
	if !state.Custom {
		t.phaseOf[m.URN] = phaseFor(m.Type, nameOf(m.URN), t.phaseOf[state.Parent])
		return
	}
	if isProvider(m.Type) || m.Op == apitype.OpSame || m.Op == apitype.OpRead || t.done[m.URN] {
		return
	}
	p := t.phase(t.resourcePhase(state.Parent))
	now := t.now()
	if p.started.IsZero() {
		p.started = now
	}
	p.active = append(p.active, active{urn: m.URN, what: verb(m.Op) + " " + kind(m.Type) + " " + nameOf(m.URN), since: now})
}

func (t *Tracker) end(m apitype.StepEventMetadata, failed bool) {
	state := m.New
	if state == nil {
		state = m.Old
	}
	if state == nil || !state.Custom || isProvider(m.Type) {
		return
	}
	p := t.phase(t.resourcePhase(state.Parent))
	p.ended = t.now()
	if p.started.IsZero() {
		p.started = p.ended
	}
	p.active = slices.DeleteFunc(p.active, func(a active) bool { return a.urn == m.URN })
	if failed {
		p.failed = true
		return
	}
	if m.Op == apitype.OpCreateReplacement || m.Op == apitype.OpDeleteReplaced {
		return // the replace step that follows counts
	}
	if !t.done[m.URN] {
		t.done[m.URN] = true
		p.done++
		if m.Op != apitype.OpSame && m.Op != apitype.OpRead {
			p.changed++
		}
	}
}

func (t *Tracker) resourcePhase(parent string) string {
	if name := t.phaseOf[parent]; name != "" {
		return name
	}
	return phaseFromParent(parent)
}

// DeclareExisting counts a resource of the state, for an operation that deletes
// it: urn is its own, parent its parent's.
func (t *Tracker) DeclareExisting(urn, parent string) {
	parts := strings.Split(urn, "::")
	if len(parts) < 4 || isProvider(parts[2][strings.LastIndexByte(parts[2], '$')+1:]) {
		return
	}
	t.Declare(phaseFromParent(parent))
}

// phaseFor names the phase of a component: its own name if it is a layer or has
// no component above it, else its parent's phase.
func phaseFor(token, name, parentPhase string) string {
	if token == stackToken {
		return ""
	}
	if parentPhase == "" || strings.HasSuffix(token, layerToken) {
		return name
	}
	return parentPhase
}

const stackToken = "pulumi:pulumi:Stack"

// phaseFromParent serves a deletion, where components come after their children:
// the parent's URN tells its type, its name and the types above it.
func phaseFromParent(urn string) string {
	parts := strings.Split(urn, "::")
	if len(parts) < 4 || parts[2] == stackToken {
		return Other
	}
	kinds := strings.Split(parts[2], "$")
	if len(kinds) == 1 || strings.HasSuffix(kinds[len(kinds)-1], layerToken) {
		return nameOf(urn)
	}
	return strings.ToLower(kind(kinds[0]))
}

// Task is a phase that is no resource of the engine's, such as waiting for an
// answer. It counts among no resources. Call end once; a task that was given up
// is forgotten.
func (t *Tracker) Task(name, what string) (end func(done bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.phase(name)
	p.task, p.started = true, t.now()
	p.active = []active{{what: what, since: p.started}}
	return func(done bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		p.active, p.ended = nil, t.now()
		if !done {
			delete(t.byName, name)
			t.phases = slices.DeleteFunc(t.phases, func(other *phase) bool { return other == p })
		}
	}
}

// Snapshot returns the present state.
func (t *Tracker) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := Snapshot{Elapsed: now.Sub(t.started)}
	for _, p := range t.phases {
		v := Phase{
			Name: p.name, Done: p.done, Of: max(p.declared, p.done+len(p.active)), Changed: p.changed, Failed: p.failed,
			Running: len(p.active) > 0,
		}
		if !p.started.IsZero() {
			end := p.ended
			if v.Running {
				end = now
			}
			v.Start, v.Took = p.started.Sub(t.started), end.Sub(p.started)
		}
		if v.Running {
			v.Doing = p.active[0].what
			if d := t.diags[p.active[0].urn]; d != "" {
				v.Doing += " (" + d + ")"
			}
		}
		if p.task {
			v.Task, v.Of = true, 0
		}
		s.Done, s.Of, s.Changed = s.Done+v.Done, s.Of+v.Of, s.Changed+v.Changed
		s.Phases = append(s.Phases, v)
	}
	return s
}

func isProvider(token string) bool { return strings.HasPrefix(token, "pulumi:providers:") }

// kind is the last part of a type token: kubernetes:apps/v1:Deployment is a Deployment.
func kind(token string) string {
	return token[strings.LastIndexByte(token, ':')+1:]
}

func nameOf(urn string) string {
	return urn[strings.LastIndexByte(urn, ':')+1:]
}

func verb(op apitype.OpType) string {
	switch op {
	case apitype.OpCreate, apitype.OpCreateReplacement:
		return "creating"
	case apitype.OpUpdate:
		return "updating"
	case apitype.OpDelete, apitype.OpDeleteReplaced:
		return "deleting"
	case apitype.OpReplace:
		return "replacing"
	}
	return string(op)
}

var colourTag = regexp.MustCompile(`<\{%[^%]*%\}>`)

func firstLine(message string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(colourTag.ReplaceAllString(message, "")), "\n")
	return line
}
