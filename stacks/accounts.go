package stacks

import (
	"slices"
	"strings"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Names of the components that make passwords.
const (
	forgeName  = "forge"
	argocdName = "argocd"
)

// randomPassword is how the URN of a password ends, before its name.
const randomPassword = "$random:index/randomPassword:RandomPassword::"

// Account is one that people sign in with.
type Account struct {
	// Name to sign in with.
	Name string `json:"name"`
	// For says where and as whom.
	For string `json:"for"`
	// random are the logical names of what is made anew for a new password.
	random []string
}

// Accounts are all there are with a configuration: the administrators', then
// members' by name.
func Accounts(cfg *config.Config) []Account {
	all := []Account{
		{forge.Admin, "forge: the platform's administrators", []string{forge.PasswordOf(forgeName, forge.Admin)}},
		{argocd.Admin, "Argo CD: the platform's administrators", argocd.PasswordOf(argocdName)},
	}
	for _, member := range cfg.Members() {
		var of []string
		for _, t := range cfg.Tenants {
			if slices.Contains(t.Members, member) {
				of = append(of, t.Namespace)
			}
		}
		all = append(all, Account{member, "forge: tenant " + strings.Join(of, ", "), []string{forge.PasswordOf(forgeName, member)}})
	}
	return all
}

// Password of the account in a deployed stack; false if it is not there yet.
func (a Account) Password(o *Outputs) (string, bool) {
	switch a.Name {
	case forge.Admin:
		return o.ForgePassword, true
	case argocd.Admin:
		return o.ArgoCDAdminPassword, true
	}
	password, ok := o.Members[a.Name]
	return password, ok
}

// Random are the URNs, with * for what is not known of them, of the resources to
// make anew for a new password.
func (a Account) Random() []string {
	var urns []string
	for _, name := range a.random {
		urns = append(urns, "**"+randomPassword+name)
	}
	return urns
}

// MadeAnew is whether all of Random are among resources that were made.
func (a Account) MadeAnew(urns []string) bool {
	return !slices.ContainsFunc(a.random, func(name string) bool {
		return !slices.ContainsFunc(urns, func(urn string) bool { return strings.HasSuffix(urn, randomPassword+name) })
	})
}

// teams are the tenants' in the forge.
func teams(c *config.Config) []forge.Team {
	var all []forge.Team
	for _, t := range c.Tenants {
		team := forge.Team{Name: t.Namespace, Members: t.Members, Mergers: t.MayMerge(), Approvals: t.Approvals}
		if !c.Forge.OnGitHub() {
			team.Repositories = t.Repositories
		}
		all = append(all, team)
	}
	return all
}

// readers are the teams that see Applications in Argo CD, by their project.
func readers(c *config.Config) map[string]string {
	all := map[string]string{}
	for _, t := range c.Tenants {
		all[tenancy.ProjectName(t.Namespace)] = forge.GroupOfTeam(c.Forge.Organization, t.Namespace)
	}
	return all
}

// folders are how many endpoints each tenant's repositories may have.
func folders(c *config.Config) []forge.FolderLimit {
	var all []forge.FolderLimit
	if c.Forge.OnGitHub() {
		return nil
	}
	for _, t := range c.Tenants {
		all = append(all, forge.FolderLimit{Repositories: t.Repositories, Most: t.Quota.Applications})
	}
	return all
}
