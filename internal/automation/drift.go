package automation

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Drift is an object of the stack's that somebody else deleted or changed since
// the stack last touched it.
type Drift struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Gone is set if it is there no more; otherwise Fields differ.
	Gone   bool     `json:"gone,omitempty"`
	Fields []string `json:"fields,omitempty"`
}

// String says what happened in words.
func (d Drift) String() string {
	what := d.Kind + " " + strings.TrimPrefix(d.Namespace+"/"+d.Name, "/")
	if d.Gone {
		return what + " is gone"
	}
	if len(d.Fields) == 0 {
		return what + " differs"
	}
	return what + " differs in " + strings.Join(d.Fields, ", ")
}

// driftOf is the drift that an event of a refresh tells of; nil for none. What the
// program does not ask for, such as a status, the engine does not compare.
func driftOf(e apitype.EngineEvent) *Drift {
	if e.ResOutputsEvent == nil {
		return nil
	}
	m := e.ResOutputsEvent.Metadata
	if m.Op != apitype.OpDelete && m.Op != apitype.OpUpdate || m.Old == nil || !m.Old.Custom {
		return nil
	}
	d := &Drift{Kind: m.Type[strings.LastIndex(m.Type, ":")+1:], Name: m.Old.ID}
	if namespace, name, both := strings.Cut(m.Old.ID, "/"); both {
		d.Namespace, d.Name = namespace, name
	}
	if m.Op == apitype.OpDelete {
		d.Gone = true
		return d
	}
	d.Fields = slices.Sorted(maps.Keys(m.DetailedDiff))
	return d
}
