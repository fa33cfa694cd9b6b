package scaffold

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
)

// Cost is what the files of an endpoint of that name add to what the tenant with that
// namespace pays, and takes of its quota.
func (f Files) Cost(platform *cost.Platform, tenants []config.Tenant, namespace, name string) (*cost.Delta, error) {
	var documents []cost.Document
	for file, text := range f {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		// Otherwise it would be counted as the first tenant's.
		if metadata, ok := object["metadata"].(map[string]any); ok {
			metadata["namespace"] = namespace
		}
		documents = append(documents, cost.Document{Endpoint: name, Object: object})
	}
	return cost.Compare(nil, documents, cost.Options{Platform: platform, Tenants: tenants})
}

// Estimate is the Cost of an endpoint that nobody may have asked for.
func (s *Scaffold) Estimate(platform *cost.Platform, tenants []config.Tenant, namespace string, e Endpoint) (*cost.Delta, error) {
	files, err := s.render(e)
	if err != nil {
		return nil, err
	}
	return files.Cost(platform, tenants, namespace, e.Name)
}
