// Package forge provides the place where Git lives: Gitea in the cluster.
package forge

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	// Token is the component's type.
	Token = "neuroscale:platform:Forge"
	// Namespace holds Gitea.
	Namespace = "forge"
	// Admin is the account of the platform's administrators.
	Admin = "ops"

	// Reader is Argo CD's account, writer the program's, Guard that of what checks
	// pull requests. Accounts and organizations share one space of names.
	Reader = "argocd"
	writer = "platform-writer"
	Guard  = "guard"

	// Service serves pages and Git at Port. Host is its name in the cluster.
	Service = "gitea"
	Host    = Service + "." + Namespace + ".svc"
	// Port of Service.
	Port = 3000
)

// ownAccounts are nobody's but the platform's.
var ownAccounts = []string{Admin, Reader, writer, Guard}

// Platform is the repository that only the program writes.
const Platform = "platform"

// GroupOfTeam is what tokens call the members of a team of Args.
func GroupOfTeam(organization, team string) string { return organization + ":" + teamPrefix + team }

// GroupOfAdmins is what tokens call the platform's administrators.
func GroupOfAdmins(organization string) string { return organization + ":owners" }

// Team is who proposes and merges what.
type Team struct {
	// Name is the tenant's namespace.
	Name string
	// Members are names of accounts. One may be in several teams.
	Members []string
	// Mergers are those of Members who merge what the guard has passed, and Approvals
	// how many of them have to approve it before.
	Mergers   []string
	Approvals int
	// Repositories of Args that they propose to.
	Repositories []string
}

// Args of the forge.
type Args struct {
	// Image of Gitea and ProxyImage of what stands before it, with their tags.
	Image, ProxyImage string
	// Certificate it shows for Hosts, and Authority that signed it. HTTP has it show
	// none.
	Certificate certificates.Certificate
	Authority   pulumi.StringOutput
	HTTP        bool
	// NodePort serves its pages and Git.
	NodePort int
	// Address is the host name or IP address of the node port.
	Address string
	// Storage is the size of its volume, a Kubernetes quantity, StorageClass its class,
	// empty for the cluster's default.
	Storage, StorageClass string
	// Organization owns all repositories.
	Organization string
	// Repositories are those that people write here, if any, beside Platform. One that is
	// taken out of the list is no longer looked after, but never deleted.
	Repositories []string
	// Teams are those people. One that is taken out of the list, or out of a team,
	// can no longer write; what was written stays.
	Teams []Team
	// MaxPush is the most bytes one push may send, at least a MiB, MaxRepository the
	// most a repository may take that is not Platform.
	MaxPush, MaxRepository int64
	// Folder is where in Repositories folders are counted, Folders how many there
	// may be.
	Folder  string
	Folders []FolderLimit
	// WebhookURL is told about pushes to Repositories.
	WebhookURL string
	// GuardURL is told about pushes and pull requests, and answers with the status
	// GuardContext, without which nothing is merged.
	GuardURL, GuardContext string
	// FollowerURL is told about pushes, and pull requests that are merged.
	FollowerURL string
	// PassedURL is asked before something is merged whether the guard has passed what
	// main would be.
	PassedURL string
}

// FolderLimit is how many folders some repositories may have together.
type FolderLimit struct {
	Repositories []string
	Most         int
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("forge: no Args")
	}
	var errs []error
	for _, field := range []struct{ name, value string }{
		{"Image", a.Image}, {"ProxyImage", a.ProxyImage}, {"Address", a.Address}, {"Storage", a.Storage},
		{"Organization", a.Organization}, {"Folder", a.Folder}, {"WebhookURL", a.WebhookURL},
		{"GuardURL", a.GuardURL}, {"FollowerURL", a.FollowerURL}, {"GuardContext", a.GuardContext}, {"PassedURL", a.PassedURL},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("forge: Args.%s is empty", field.name))
		}
	}
	if a.NodePort == 0 {
		errs = append(errs, errors.New("forge: Args.NodePort is 0"))
	}
	if a.Authority.OutputState == nil || !a.Certificate.There() {
		errs = append(errs, errors.New("forge: Args.Certificate or Args.Authority is missing"))
	}
	if a.MaxPush < 1<<20 || a.MaxRepository < a.MaxPush {
		errs = append(errs, fmt.Errorf("forge: Args.MaxPush is %d and Args.MaxRepository %d: at least 1048576, the second at least the first", a.MaxPush, a.MaxRepository))
	}
	for i, repository := range a.Repositories {
		if repository == "" || repository == Platform || slices.Contains(a.Repositories[:i], repository) {
			errs = append(errs, fmt.Errorf("forge: Args.Repositories[%d] is %q: a name of its own, other than %s", i, repository, Platform))
		}
	}
	if slices.Contains(ownAccounts, a.Organization) {
		errs = append(errs, fmt.Errorf("forge: Args.Organization is %s: an account has that name", a.Organization))
	}
	return errors.Join(append(errs, a.validateTeams()...)...)
}

func (a *Args) validateTeams() []error {
	var errs []error
	for i, team := range a.Teams {
		if team.Name == "" {
			errs = append(errs, fmt.Errorf("forge: Args.Teams[%d].Name is empty", i))
		}
		for j, member := range team.Members {
			if member == "" || member == a.Organization || slices.Contains(ownAccounts, member) {
				errs = append(errs, fmt.Errorf("forge: Args.Teams[%d].Members[%d] is %q: a name of its own", i, j, member))
			}
		}
		for j, merger := range team.Mergers {
			if !slices.Contains(team.Members, merger) {
				errs = append(errs, fmt.Errorf("forge: Args.Teams[%d].Mergers[%d] is %q, who is none of Members", i, j, merger))
			}
		}
		if team.Approvals < 0 || team.Approvals > 0 && team.Approvals >= len(team.Mergers) {
			errs = append(errs, fmt.Errorf("forge: Args.Teams[%d].Approvals is %d: less than there are Mergers, nobody approves what is his own", i, team.Approvals))
		}
		for j, repository := range team.Repositories {
			if !slices.Contains(a.Repositories, repository) {
				errs = append(errs, fmt.Errorf("forge: Args.Teams[%d].Repositories[%d] is %q, which Args.Repositories has not", i, j, repository))
			}
		}
	}
	return errs
}

// members of all teams, each once, sorted.
func (a *Args) members() []string {
	var all []string
	for _, team := range a.Teams {
		all = append(all, team.Members...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Account may do something with a repository.
type Account struct {
	Username string
	Password pulumi.StringOutput
}

// Repository is one Git repository as seen from inside the cluster.
type Repository struct {
	// URL to clone from.
	URL string
	// Reader may read it, Writer also push.
	Reader, Writer Account
	// Authority signed the certificate of its server; without one it is known to
	// everybody.
	Authority pulumi.StringOutput
	// DeployKey is the private key it is read with at DeployURL, by SSH; without one
	// it is read as Reader.
	DeployURL string
	DeployKey pulumi.StringOutput
	// Ready is done when it is there and may be read, if that is not when its server is.
	Ready []pulumi.Resource
}

// ReadURL is where Argo CD reads it.
func (r Repository) ReadURL() string {
	if r.DeployURL != "" {
		return r.DeployURL
	}
	return r.URL
}

// Public is whether the certificate of its server is known to everybody.
func (r Repository) Public() bool { return r.Authority.OutputState == nil }

// Forge is where Git lives.
type Forge struct {
	pulumi.ResourceState
	// URL at which people reach it, InternalURL at which pods do.
	URL, InternalURL string
	// Issuer is what OpenID Connect calls it, and where whoever takes its word finds
	// out how: see ADR 21.
	Issuer string
	// Organization owns all repositories.
	Organization string
	// Admin is the account of the platform's administrators.
	Admin Account
	// Members are the accounts of all teams, sorted by name.
	Members []Account
	// Platform is written by the program only.
	Platform Repository
	// Repositories by name are written by people only (but for their first
	// content).
	Repositories map[string]Repository
	// PublicURLs by name are where people clone Repositories from.
	PublicURLs map[string]string
	// WebhookSecret signs what is sent to Args.WebhookURL, GuardSecret what is sent to
	// Args.GuardURL.
	WebhookSecret, GuardSecret pulumi.StringOutput
	// Guard is the only account that sets the status Args.GuardContext.
	Guard Account
	// Ready is done when all repositories answer.
	Ready []pulumi.Resource

	// What a Client's Job is made of.
	image     string
	namespace *manifest.Resource
}

// New brings up Gitea with an organization, its private repositories and an
// account for each of those who use them. What an account may write is its teams'.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Forge, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	f := &Forge{
		URL: args.url(), InternalURL: args.internalURL(), Issuer: args.issuer(),
		Organization: args.Organization, image: args.Image,
		Repositories: map[string]Repository{}, PublicURLs: map[string]string{},
	}
	if err := ctx.RegisterComponentResource(Token, name, f, opts...); err != nil {
		return nil, err
	}
	secrets, err := newSecrets(ctx, name, args.members(), pulumi.Parent(f))
	if err != nil {
		return nil, err
	}
	f.Admin = Account{Admin, secrets.admin}
	for _, member := range args.members() {
		f.Members = append(f.Members, Account{member, secrets.members[member]})
	}
	f.WebhookSecret, f.GuardSecret = secrets.webhook, secrets.guardHook
	f.Guard = Account{Guard, secrets.guard}
	f.Platform = Repository{
		URL:    repositoryURL(args.internalURL(), args.Organization, Platform),
		Reader: Account{Reader, secrets.reader}, Writer: Account{writer, secrets.writer}, Authority: args.Authority,
	}
	for _, repository := range args.Repositories {
		f.Repositories[repository] = Repository{
			URL:    repositoryURL(args.internalURL(), args.Organization, repository),
			Reader: Account{Reader, secrets.reader}, Writer: f.Admin, Authority: args.Authority,
		}
		f.PublicURLs[repository] = repositoryURL(f.URL, args.Organization, repository)
	}

	ns, err := manifest.New(ctx, name, manifest.Namespace(Namespace), pulumi.Parent(f))
	if err != nil {
		return nil, err
	}
	f.namespace = ns
	// What lives in the namespace goes with it. The server goes before: a claim that a pod
	// still has keeps a namespace until it is looked at again, 8 s later. The volume does
	// not: an up that was killed may have made a server that no destroy knows of, whose pod
	// would keep the claim for ever.
	set := manifest.NewSet(ctx, pulumi.Parent(f), pulumi.DeletedWith(ns))
	before := manifest.NewSet(ctx, pulumi.Parent(f))
	inNamespace := pulumi.DependsOn([]pulumi.Resource{ns})

	settings := set.Add(name+"-settings", appIniSecret(args, secrets), inNamespace)
	accounts := set.Add(name+"-accounts", accountsSecret(secrets), inNamespace)
	members := set.Add(name+"-members", membersSecret(secrets), inNamespace)
	scripts := set.Add(name+"-scripts", scriptsConfigMap(args), inNamespace)
	limits := set.Add(name+"-limits", limitsConfigMap(args), inNamespace)
	authority := set.Add(name+"-authority", certificates.AuthorityConfigMap(Namespace, authorityName, args.Authority), inNamespace)
	certificate := set.Add(name+"-certificate", args.Certificate.Secret(Namespace, certificateName), inNamespace)
	volume := set.Add(name+"-volume", volumeClaim(args.Storage, args.StorageClass), inNamespace)
	server := before.Add(name+"-server", deployment(args, secrets.checksum()),
		pulumi.DependsOn([]pulumi.Resource{settings, accounts, scripts, limits, authority, certificate, volume}))
	svc := set.Add(name+"-service", serviceObject(args), inNamespace)
	bootstrap := set.Add(name+"-bootstrap", bootstrapJob(args, secrets.checksumWithMembers()), manifest.JobTimeout(),
		pulumi.DependsOn([]pulumi.Resource{server, svc, members, authority}))
	if err := errors.Join(set.Err(), before.Err()); err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	f.Ready = []pulumi.Resource{bootstrap}
	return f, ctx.RegisterResourceOutputs(f, pulumi.Map{
		"url":          pulumi.String(f.URL),
		"repositories": pulumi.ToStringMap(f.PublicURLs),
	})
}

// PasswordOf is the logical name of an account's random password in a forge of the
// given name: of Admin or of a member.
func PasswordOf(name, account string) string {
	if account == Admin {
		return name + "-admin"
	}
	return name + "-member-" + account
}

// InternalURL is how the cluster reaches the forge, which may speak plain HTTP. Gitea writes it into webhook
// payloads, where Argo CD compares it with the repository of an Application.
func InternalURL(plain bool) string { return fmt.Sprintf("%s://%s:%d", scheme(plain), Host, Port) }

func (a *Args) internalURL() string { return InternalURL(a.HTTP) }

func (a *Args) url() string {
	return fmt.Sprintf("%s://%s", a.scheme(), net.JoinHostPort(a.Address, strconv.Itoa(a.NodePort)))
}

// issuer is where people reach it, so that their command line finds it, unless that is
// another place for every pod.
func (a *Args) issuer() string {
	ip := net.ParseIP(a.Address)
	if a.Address == "localhost" || strings.HasSuffix(a.Address, ".localhost") || ip != nil && ip.IsLoopback() {
		return a.internalURL()
	}
	return a.url()
}

func repositoryURL(base, organization, repository string) string {
	return fmt.Sprintf("%s/%s/%s.git", base, organization, repository)
}
