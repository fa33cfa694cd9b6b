// Package preview says what an update would change, layer by layer, and what
// changes between two previews.
package preview

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

// Report is the -o json of preview.
type Report struct {
	Stack   string                 `json:"stack"`
	Changed bool                   `json:"changed"`
	Changes automation.Changes     `json:"changes"`
	Layers  []progress.PhaseChange `json:"layers"`
	// Drift is what others deleted or changed in the cluster; nil if nobody looked.
	Drift []automation.Drift `json:"drift"`
	// Trees are the layers' contents by layer.
	Trees map[string]Move `json:"trees"`
	// Resources are all that are wanted, changed or not.
	Resources []Resource `json:"resources"`
	// Base is set if the changes are those since another preview, not since the
	// last up.
	Base    bool    `json:"base,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	if len(r.Drift) > 0 {
		fmt.Fprintln(w, "changed in the cluster by somebody else, and put back by `up`:")
		for _, d := range r.Drift {
			fmt.Fprintf(w, "  %s\n", d)
		}
	}
	if !r.Changed {
		fmt.Fprintf(w, "nothing to change: the %d resources of stack %s are as wanted (%.1fs)\n", r.Changes["same"], r.Stack, r.Seconds)
		return nil
	}
	for _, l := range r.Layers {
		if len(l.Resources) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", l.Name, counts(l.Changes))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, res := range l.Resources {
			diffs := ""
			if len(res.Diffs) > 0 {
				diffs = "\t" + strings.Join(res.Diffs, ", ")
			}
			fmt.Fprintf(t, "  %s\t%s\t%s%s\n", res.Op, res.Kind, res.Name, diffs)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nstack %s: %s (%.1fs)\n", r.Stack, r.summary(), r.Seconds)
	return nil
}

// summary counts what is to change, and what is only put back.
func (r *Report) summary() string {
	if len(r.Drift) == 0 {
		return counts(r.Changes)
	}
	return fmt.Sprintf("%d to put back, %s", len(r.Drift), counts(r.Changes))
}

// operations are the kinds of change, in the order people read them.
var operations = []string{"create", "update", "replace", "delete"}

// counts reads like "3 to create, 1 to update, 40 unchanged".
func counts(c map[string]int) string {
	var parts []string
	for _, op := range operations {
		if n := c[op]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, op))
		}
	}
	if n := c["same"]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d unchanged", n))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
