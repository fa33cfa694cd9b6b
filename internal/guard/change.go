package guard

import (
	"context"

	"github.com/neuroscale-platform/neuroscale/internal/cost"
)

// compare says what the change since the base does to resources, cost and quotas.
func compare(ctx context.Context, o Options, t *tenancy, after []*document) (*cost.Delta, []Finding) {
	c := &contents{}
	files, large, err := o.before(ctx)
	if err != nil {
		c.add(Error, RuleBase, "", 0, "%v", err)
		return nil, c.findings
	}
	before := read(files)
	before.findings = append(large, before.findings...)
	// What could not be read before is what a change may repair.
	for _, f := range before.findings {
		if f.Level == Error {
			c.add(Note, RuleBase, "", 0, "%s at %s %s: it counts as nothing before", Finding{File: f.File, Line: f.Line}.where(), o.base(), f.Message)
		}
	}
	t.settle(before)
	before.unique()
	options := o.Cost
	options.Tenants = t.tenants
	delta, err := cost.Compare(costed(before.documents), costed(after), options)
	if err != nil {
		c.add(Error, RuleChange, "", 0, "what the change costs cannot be said: %v", err)
		return nil, c.findings
	}
	for _, f := range delta.Flags {
		c.add(Warning, RuleChange, "", 0, "%s", f.Message)
	}
	for _, h := range delta.Quotas {
		level := Warning
		for _, r := range h.Rows {
			if r.LeftAtMin.Sign() < 0 {
				level = Error
			}
		}
		if text := h.Exceeded(); text != "" {
			c.add(level, RuleQuota, "", 0, "%s", text)
		}
	}
	return delta, c.findings
}

// costed are the documents for the arithmetic.
func costed(documents []*document) []cost.Document {
	var all []cost.Document
	for _, d := range documents {
		all = append(all, cost.Document{Endpoint: d.endpoint, Object: d.object})
	}
	return all
}
