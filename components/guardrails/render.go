package guardrails

import (
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Tree renders one of the two layers that are made of policies, AdmissionLayer or
// PoliciesLayer; nil for any other name.
func Tree(name string, policies []*policy.Policy) (*render.Tree, error) {
	native, kyvernos, err := trees(policies)
	if err != nil {
		return nil, err
	}
	return map[string]*render.Tree{AdmissionLayer: native, PoliciesLayer: kyvernos}[name], nil
}
