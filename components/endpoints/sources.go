package endpoints

import (
	"slices"
	"strings"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// source is one repository of one tenant.
type source struct {
	tenant     tenancy.Tenant
	repository string
	// suffix of all names but those of Applications; none for the first source.
	suffix string
	// prefix of the names of Applications; none for the first source, whose
	// Applications are called like their folders.
	prefix string
}

func (s source) first() bool { return s.suffix == "" }

// seedSuffix is the suffix of what fills the repository: short, because the name of
// a Job becomes a label of its pods.
func (s source) seedSuffix() string {
	if s.first() {
		return ""
	}
	return "-" + manifest.Hash(s.repository)
}

// sources are all repositories. A tenant's second repository is told apart with a
// dot: no namespace has one.
func sources(tenants []tenancy.Tenant) []source {
	var out []source
	for i, t := range tenants {
		for j, repository := range t.Repositories {
			s := source{tenant: t, repository: repository}
			whose := t.Namespace
			if j > 0 {
				whose += "." + repository
			}
			if i+j > 0 {
				s.suffix, s.prefix = "-"+whose, whose+"-"
			}
			out = append(out, s)
		}
	}
	return out
}

// Source is a repository of a tenant's and what becomes of its folders.
type Source struct {
	Tenant, Repository string
	// ApplicationSet follows it, and makes an Application of every folder in Folder
	// whose name is Prefix and that of the folder.
	ApplicationSet, Prefix string
	// Excluded are glob patterns of folders that are not made Applications.
	Excluded []string
}

// Sources are the repositories of all tenants, in their order.
func Sources(tenants []config.Tenant, reserved []string) []Source {
	var list []tenancy.Tenant
	for _, t := range tenants {
		list = append(list, tenancy.Tenant{Namespace: t.Namespace, Repositories: t.Repositories})
	}
	all := sources(list)
	var out []Source
	for _, s := range all {
		out = append(out, Source{
			Tenant: s.tenant.Namespace, Repository: s.repository, ApplicationSet: ApplicationSet + s.suffix, Prefix: s.prefix,
			Excluded: s.excluded(all, reserved),
		})
	}
	return out
}

// ApplicationSets are the names of those that follow the repositories of all tenants.
func ApplicationSets(tenants []config.Tenant) []string {
	var names []string
	for _, s := range Sources(tenants, nil) {
		names = append(names, s.ApplicationSet)
	}
	return names
}

// Excluded are the folders of a tenant's first repository, as glob patterns, that
// are not made Applications: their names are reserved or another tenant's.
func Excluded(tenants []config.Tenant, namespace string, reserved []string) []string {
	for _, s := range Sources(tenants, reserved) {
		if s.Tenant == namespace {
			return s.Excluded
		}
	}
	return nil
}

// excluded are the folders of s, as glob patterns, that are not made Applications
// because their name would be another's: that of an Application of the platform,
// which Argo CD would hand over to the folder, or one that another source may use.
func (s source) excluded(all []source, reserved []string) []string {
	var out []string
	for _, other := range all {
		if rest, ok := strings.CutPrefix(other.prefix, s.prefix); ok && rest != "" {
			out = append(out, rest+"*")
		}
	}
	for _, name := range reserved {
		if rest, ok := strings.CutPrefix(name, s.prefix); ok && rest != "" {
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
