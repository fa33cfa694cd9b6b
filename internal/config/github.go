package config

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// longestOwner is how long GitHub lets a name be, mostApprovals how many it can ask
	// for.
	longestOwner  = 39
	mostApprovals = 6
)

// clientID is what GitHub gives OAuth Apps to be known by.
var clientID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// OnGitHub is whether people's repositories are there.
func (f Forge) OnGitHub() bool { return f.Provider == ForgeGitHub }

// reaches is whether GitHub is anywhere at a port.
func (g GitHub) reaches(port int) bool {
	return slices.ContainsFunc(g.Egress, func(e Egress) bool { return slices.Contains(e.Ports, port) })
}

// SignInPath is where at the portal a forge sends people back to who have signed in.
func SignInPath(provider string) string { return "/api/auth/" + provider + "/handler/frame" }

// Callback is the URL that the OAuth App of the portal has to have on GitHub. Where only
// the cluster knows an address it names the setting of that.
func (c *Config) Callback() string {
	origin := c.Portal.URL
	if origin == "" {
		address := c.Cluster.Address
		switch {
		case address != "":
		case c.Cluster.Provider == ProviderDocker:
			address = "127.0.0.1"
		default:
			address = "<cluster.address>"
		}
		origin = c.TLS.Scheme(ServerPortal) + "://" + net.JoinHostPort(address, strconv.Itoa(c.Portal.NodePort))
	}
	return strings.TrimRight(origin, "/") + SignInPath(c.Forge.Provider)
}

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
		const instead = "nothing, or github in " + Namespace + ":forge.provider"
		if len(f.GitHub.Adopt) > 0 {
			v.refuse("forge.github.adopt", f.GitHub.Adopt, instead)
		}
		if f.GitHub.ClientID != "" {
			v.refuse("forge.github.clientId", f.GitHub.ClientID, instead)
		}
		return
	}
	if f.Organization == Default().Forge.Organization {
		v.refuse("forge.organization", f.Organization, "the organization or account on GitHub that owns the repositories")
	}
	if len(f.Organization) > longestOwner {
		v.refuse("forge.organization", f.Organization, fmt.Sprintf("at most %d letters, digits and -, GitHub has no longer names", longestOwner))
	}
	if !f.GitHub.reaches(22) || !f.GitHub.reaches(443) {
		v.refuse("forge.github.egress", f.GitHub.Egress, "where GitHub is, such as 0.0.0.0/0 with the ports 22 and 443")
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
	app := "the client ID of an OAuth App of GitHub whose callback URL is " + c.Callback() + ", make one at https://github.com/settings/applications/new"
	switch id := f.GitHub.ClientID; {
	case id != "" && !clientID.MatchString(id):
		v.refuse("forge.github.clientId", id, app)
	case id == "" && c.Portal.Enabled:
		v.refuse("forge.github.clientId", id, app+", or false in "+Namespace+":portal.enabled")
	}
	for i, t := range c.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		for j, member := range t.Members {
			if len(member) > longestOwner {
				v.refuse(fmt.Sprintf("%s.members[%d]", at, j), member, fmt.Sprintf("at most %d characters, GitHub has no longer names", longestOwner))
			}
		}
		if len(t.Mergers) > 0 {
			v.refuse(at+".mergers", t.Mergers, "nothing: on GitHub who may write to the repository merges, and the organization says who that is")
		}
		if t.Approvals > mostApprovals {
			v.refuse(at+".approvals", t.Approvals, fmt.Sprintf("at most %d, GitHub asks for no more", mostApprovals))
		}
	}
}
