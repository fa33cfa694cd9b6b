package scaffold

import (
	"maps"
	"slices"
)

// Rules are what an endpoint may be, whoever's it is, for a program that asks for the
// same values as Render and refuses what it refuses. Patterns are JavaScript's, too.
type Rules struct {
	Name struct {
		Pattern   string `json:"pattern"`
		MaxLength int    `json:"maxLength"`
	} `json:"name"`
	StorageURI struct {
		Pattern   string   `json:"pattern"`
		MaxLength int      `json:"maxLength"`
		Schemes   []string `json:"schemes"`
	} `json:"storageUri"`
	Formats []string `json:"formats"`
}

// namePattern is validation.IsDNS1035Label without its length.
const namePattern = `^[a-z]([-a-z0-9]*[a-z0-9])?$`

// Rules of every endpoint.
func (s *Scaffold) Rules() Rules {
	r := Rules{Formats: s.Formats}
	r.Name.Pattern, r.Name.MaxLength = namePattern, LongestName
	r.StorageURI.Pattern, r.StorageURI.MaxLength, r.StorageURI.Schemes = uriText.String(), longestURI, schemes
	return r
}

// Bounds are what an endpoint of one tenant may be beside Rules.
type Bounds struct {
	// Excluded are the site's.
	Excluded []string `json:"excluded"`
	// Sizes that the tenant's limits admit, the smallest first.
	Sizes []string `json:"sizes"`
	// Ports at which a model may be fetched, sorted.
	Ports    []int `json:"ports"`
	Replicas struct {
		Min int `json:"min"`
		Max int `json:"max"`
	} `json:"replicas"`
}

// Bounds of the endpoints of a site.
func (s *Scaffold) Bounds(site Site) Bounds {
	b := Bounds{Excluded: nonNil(site.Excluded), Sizes: []string{}, Ports: nonNil(openPorts(site))}
	for _, name := range s.SizeNames() {
		if _, ok := s.Sizes[name].outside(site.Tenant.Limits); ok {
			b.Sizes = append(b.Sizes, name)
		}
	}
	b.Replicas.Max = site.Tenant.Quota.Pods
	return b
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// openPorts are those at which the site's pods reach a store, sorted.
func openPorts(site Site) []int {
	open := map[int]bool{}
	for _, to := range slices.Concat(site.Stores, site.Tenant.Egress) {
		for _, each := range to.Ports {
			open[each] = true
		}
	}
	return slices.Sorted(maps.Keys(open))
}

// Templates are the files of an endpoint as they are before they are filled in, by
// name.
func (s *Scaffold) Templates() map[string]string { return maps.Clone(s.templates) }
