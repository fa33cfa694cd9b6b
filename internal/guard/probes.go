package guard

import (
	"fmt"

	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

// probe is a built-in document of which the verdicts are known.
type probe struct {
	*document
	// refusedBy is the one policy that has to refuse it; "" for a good one.
	refusedBy string
}

// builtIn are the samples as documents.
func builtIn() []probe {
	all := samples.Good()
	for _, policy := range samples.Policies() {
		bad, _ := samples.Bad(policy)
		all = append(all, bad)
	}
	var probes []probe
	for _, s := range all {
		d := &document{object: s.Object}
		if problems := d.identify(); len(problems) > 0 {
			panic(fmt.Sprintf("sample %v: %s", s.Object["metadata"], problems))
		}
		probes = append(probes, probe{d, s.RefusedBy})
	}
	return probes
}
