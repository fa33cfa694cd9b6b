package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// longestOwner is how long GitHub lets a name be, mostApprovals how many it can ask
	// for.
	longestOwner  = 39
	mostApprovals = 6
)

// OnGitHub is whether people's repositories are there.
func (f Forge) OnGitHub() bool { return f.Provider == ForgeGitHub }

// InGitea are the tenants' repositories that Gitea has, in their order.
func (c *Config) InGitea() []string {
	if c.Forge.OnGitHub() {
		return nil
	}
	return c.Repositories()
}

// github refuses what would do nothing, or not what somebody means, where people's
// repositories are.
func (v *checker) github(c *Config) {
	f := c.Forge
	v.egress("forge.github.egress", f.GitHub.Egress)
	if !f.OnGitHub() {
		if len(f.GitHub.Adopt) > 0 {
			v.refuse("forge.github.adopt", f.GitHub.Adopt, "nothing, or github in "+Namespace+":forge.provider")
		}
		return
	}
	if f.Organization == Default().Forge.Organization {
		v.refuse("forge.organization", f.Organization, "the organization or account on GitHub that owns the repositories")
	}
	if len(f.Organization) > longestOwner {
		v.refuse("forge.organization", f.Organization, fmt.Sprintf("at most %d letters, digits and -, GitHub has no longer names", longestOwner))
	}
	if len(f.GitHub.Egress) == 0 {
		v.refuse("forge.github.egress", []Egress{}, "where GitHub is, such as 0.0.0.0/0 with the ports 22 and 443")
	}
	taken := map[string]string{}
	for i, name := range f.GitHub.Adopt {
		at := fmt.Sprintf("forge.github.adopt[%d]", i)
		if !slices.Contains(c.Repositories(), name) {
			v.refuse(at, name, fmt.Sprintf("one of %s:tenants[].repositories: %s", Namespace, strings.Join(c.Repositories(), ", ")))
			continue
		}
		v.unique(at, name, taken)
	}
	if c.Portal.Enabled {
		v.refuse("portal.enabled", true, "false: the portal's form and its sign-in know Gitea only, on GitHub `neuroscale new endpoint` is there")
	}
	for i, t := range c.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		if len(t.Mergers) > 0 {
			v.refuse(at+".mergers", t.Mergers, "nothing: on GitHub who may write to the repository merges, and the organization says who that is")
		}
		if t.Approvals > mostApprovals {
			v.refuse(at+".approvals", t.Approvals, fmt.Sprintf("at most %d, GitHub asks for no more", mostApprovals))
		}
	}
}
