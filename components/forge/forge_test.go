package forge

import (
	"encoding/base64"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func args() *Args {
	return &Args{
		Image: "gitea:1", ProxyImage: "proxy:1",
		Certificate: certificates.Certificate{
			Chain: pulumi.String("the chain").ToStringOutput(), Key: pulumi.ToSecret(pulumi.String("the key")).(pulumi.StringOutput),
		},
		Authority: pulumi.String("the authority").ToStringOutput(),
		NodePort:  30082, Address: "10.0.0.7", Storage: "2Gi",
		MaxPush: 20 << 20, MaxRepository: 128 << 20, Folder: "apps",
		Folders:      []FolderLimit{{Repositories: []string{"endpoints"}, Most: 50}, {Repositories: []string{"models-b"}, Most: 7}},
		Organization: "acme", Repositories: []string{"endpoints", "models-b"}, WebhookURL: "http://argocd/webhook", GuardURL: "http://guard/hook", FollowerURL: "http://follower/hook", GuardContext: "guard", PassedURL: "http://guard/passed",
		Teams: []Team{
			{"default", []string{"bob", "anna"}, []string{"bob", "anna"}, 1, []string{"endpoints"}},
			{"b", []string{"bob"}, []string{"bob"}, 0, []string{"models-b"}},
		},
	}
}

func build(t *testing.T, a *Args) (*recorder.Recording, *Forge) {
	t.Helper()
	var f *Forge
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		var err error
		f, err = New(ctx, "forge", a, on)
		return err
	})
	return r, f
}

func TestTheForgeIsReadyWhenItIsBootstrapped(t *testing.T) {
	r, f := build(t, args())
	r.AssertBelongs(t, "forge")
	server, bootstrap := r.Get(t, "Deployment", "gitea"), r.Get(t, "Job", "gitea-bootstrap-*")
	for _, earlier := range []*recorder.Registration{
		r.Get(t, "Namespace", Namespace), r.Get(t, "Secret", "gitea-settings"), r.Get(t, "Secret", "gitea-accounts"),
		r.Get(t, "ConfigMap", "gitea-scripts-*"), r.Get(t, "PersistentVolumeClaim", "gitea"),
	} {
		assert.Truef(t, r.Waits(server, earlier), "the server does not wait for %s", earlier.URN)
	}
	assert.Empty(t, server.DeletedWith, "its volume is still in use when the namespace goes")
	assert.Equal(t, r.Get(t, "Namespace", Namespace).URN, bootstrap.DeletedWith)
	assert.Equal(t, r.Get(t, "Namespace", Namespace).URN, r.Get(t, "PersistentVolumeClaim", "gitea").DeletedWith, "a pod that a killed up has left keeps it for ever")
	assert.True(t, r.Waits(bootstrap, server))
	assert.True(t, r.Waits(bootstrap, r.Get(t, "Secret", "gitea-members")))
	assert.True(t, r.Waits(bootstrap, r.Get(t, "Service", "gitea")))
	assert.False(t, r.Waits(server, r.Get(t, "Service", "gitea")), "Pulumi waits for a Service until the server answers")
	assert.Len(t, f.Ready, 1)
}

func TestURLsForPeopleAndForTheCluster(t *testing.T) {
	_, f := build(t, args())
	assert.Equal(t, "https://10.0.0.7:30082", f.URL)
	assert.Equal(t, map[string]string{
		"endpoints": "https://10.0.0.7:30082/acme/endpoints.git",
		"models-b":  "https://10.0.0.7:30082/acme/models-b.git",
	}, f.PublicURLs)
	assert.Len(t, f.Repositories, 2)
	assert.Equal(t, "https://gitea.forge.svc:3000/acme/endpoints.git", f.Repositories["endpoints"].URL)
	assert.Equal(t, "https://gitea.forge.svc:3000/acme/models-b.git", f.Repositories["models-b"].URL)
	assert.Equal(t, "https://gitea.forge.svc:3000/acme/platform.git", f.Platform.URL)
}

func TestEachHasAnAccountOfItsOwn(t *testing.T) {
	_, f := build(t, args())
	assert.Equal(t, "ops", f.Admin.Username)
	assert.Equal(t, "platform-writer", f.Platform.Writer.Username)
	assert.Equal(t, "argocd", f.Platform.Reader.Username)
	for name, repository := range f.Repositories {
		assert.Equal(t, "argocd", repository.Reader.Username, name)
		assert.Equal(t, "ops", repository.Writer.Username, name)
	}
	require.Len(t, f.Members, 2)
	assert.Equal(t, "anna", f.Members[0].Username)
	assert.Equal(t, "bob", f.Members[1].Username)
}

func TestMembersPasswordsAreTheBootstrapsOnly(t *testing.T) {
	r, _ := build(t, args())
	members := r.Get(t, "Secret", "gitea-members")
	members.AssertSecret(t, "data")
	assert.Equal(t, map[string]any{
		"anna": base64.StdEncoding.EncodeToString([]byte("forge-member-anna result")),
		"bob":  base64.StdEncoding.EncodeToString([]byte("forge-member-bob result")),
	}, recorder.At(members.Object(), "data"))
	volumes := func(kind, name string) (secrets []any) {
		for _, v := range recorder.At(r.Get(t, kind, name).Object(), "spec.template.spec.volumes").([]any) {
			secrets = append(secrets, recorder.At(v, "secret.secretName"))
		}
		return secrets
	}
	assert.Contains(t, volumes("Job", "gitea-bootstrap-*"), "gitea-members")
	assert.NotContains(t, volumes("Deployment", "gitea"), "gitea-members", "the server's processes can read them")
}

func TestEveryPasswordHasTheNameItIsReplacedBy(t *testing.T) {
	r, f := build(t, args())
	for _, account := range append(f.Members, f.Admin) {
		r.Type(t, "random:index/randomPassword:RandomPassword", PasswordOf("forge", account.Username))
	}
}

func TestSettings(t *testing.T) {
	r, _ := build(t, args())
	service := r.Get(t, "Service", "gitea").Object()
	assert.Equal(t, 30082.0, recorder.At(service, "spec.ports.0.nodePort"))
	claim := r.Get(t, "PersistentVolumeClaim", "gitea").Object()
	assert.Equal(t, "2Gi", recorder.At(claim, "spec.resources.requests.storage"))
	pod := recorder.At(r.Get(t, "Deployment", "gitea").Object(), "spec.template.spec")
	for path, want := range map[string]any{
		"automountServiceAccountToken": false, "securityContext.runAsUser": 1000.0,
		"containers.0.image": "gitea:1", "containers.0.securityContext.readOnlyRootFilesystem": true,
		"containers.0.resources.requests.cpu": "20m", "containers.0.resources.requests.memory": "128Mi",
		"containers.0.resources.limits.memory": "384Mi", "containers.1.readinessProbe.periodSeconds": 2.0,
		"containers.0.command": []any{"/app/gitea/gitea", "web", "--config", "/etc/gitea/app.ini"},
		"initContainers.0.securityContext.allowPrivilegeEscalation": false,
	} {
		assert.Equal(t, want, recorder.At(pod, path), path)
	}
	assert.Equal(t, "Recreate", recorder.At(r.Get(t, "Deployment", "gitea").Object(), "spec.strategy.type"))
}

func TestSecretsAreGeneratedAndOnlyInSecrets(t *testing.T) {
	r, _ := build(t, args())
	settings, accounts := r.Get(t, "Secret", "gitea-settings"), r.Get(t, "Secret", "gitea-accounts")
	settings.AssertSecret(t, "data")
	accounts.AssertSecret(t, "data")
	assert.Len(t, recorder.At(accounts.Object(), "data"), 6)
	r.AssertNoSecretOutside(t, " result")
	for _, g := range r.Registrations {
		if g.Type == "random:index/randomPassword:RandomPassword" {
			assert.Equal(t, false, g.Object()["special"], "%s would need quoting", g.Name)
		}
	}
	text, err := base64.StdEncoding.DecodeString(recorder.At(settings.Object(), "data").(map[string]any)["app.ini"].(string))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "@", "a placeholder is left")
	assert.Contains(t, string(text), "ROOT_URL = https://gitea.forge.svc:3000/\n")
	assert.Contains(t, string(text), "SECRET_KEY = forge-secret-key result\n")
	assert.Contains(t, string(text), "receive.maxInputSize = 20971520\n")
	assert.Contains(t, string(text), "FILE_MAX_SIZE = 20\n")
}

func TestNobodyHasARepositoryOrANameOfTheirOwnMaking(t *testing.T) {
	for setting, otherwise := range map[string]string{
		"MAX_CREATION_LIMIT = 0":                                               "a member makes a repository, whose hooks reach any private address",
		"ALLOW_FORK_WITHOUT_MAXIMUM_LIMIT = false":                             "a member forks a repository and gives it to others",
		"USER_DISABLED_FEATURES = deletion,change_username,manage_credentials": "a member's account is another one than the outputs say",
		"DEFAULT_KEEP_EMAIL_PRIVATE = true":                                    "members see each other's e-mail",
		"DEFAULT_ALLOW_CREATE_ORGANIZATION = false":                            "a member makes an organization",
	} {
		assert.Contains(t, appIni, "\n"+setting+"\n", otherwise)
	}
}

func TestANewSecretReachesTheServerAndTheAccounts(t *testing.T) {
	checksums := func(a *Args) (server, bootstrap any) {
		r, _ := build(t, a)
		const path = "spec.template.metadata.annotations"
		return recorder.At(r.Get(t, "Deployment", "gitea").Object(), path).(map[string]any)["neuroscale.dev/secrets"],
			recorder.At(r.Get(t, "Job", "gitea-bootstrap-*").Object(), path).(map[string]any)["neuroscale.dev/secrets"]
	}
	server, bootstrap := checksums(args())
	assert.Regexp(t, "^[0-9a-f]{12}$", server)
	assert.Regexp(t, "^[0-9a-f]{12}$", bootstrap)
	other := args()
	other.Teams[1].Members, other.Teams[1].Mergers = []string{"carl"}, nil
	serverThen, bootstrapThen := checksums(other)
	assert.Equal(t, server, serverThen, "a member's password starts the server again")
	assert.NotEqual(t, bootstrap, bootstrapThen, "a member's new password would never arrive")
}

func TestWhatIsBootstrappedDifferentlyIsBootstrappedAnew(t *testing.T) {
	name := func(a *Args) string {
		r, _ := build(t, a)
		return r.Get(t, "Job", "gitea-bootstrap-*").ObjectName()
	}
	other := args()
	other.Organization = "globex"
	assert.Equal(t, name(args()), name(args()))
	assert.NotEqual(t, name(args()), name(other))
	more := args()
	more.Repositories = append(more.Repositories, "models-c")
	assert.NotEqual(t, name(args()), name(more), "a new tenant's repository would never be made")
	left := args()
	left.Teams[1].Mergers = nil
	assert.NotEqual(t, name(args()), name(left), "who no longer merges still would")
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"forge: Args.Image is empty":                                                                                       func(a *Args) { a.Image = "" },
		"forge: Args.ProxyImage is empty":                                                                                  func(a *Args) { a.ProxyImage = "" },
		"forge: Args.Certificate or Args.Authority is missing":                                                             func(a *Args) { a.Certificate = certificates.Certificate{} },
		"forge: Args.Address is empty":                                                                                     func(a *Args) { a.Address = "" },
		"forge: Args.Storage is empty":                                                                                     func(a *Args) { a.Storage = "" },
		"forge: Args.Organization is empty":                                                                                func(a *Args) { a.Organization = "" },
		"forge: Args.WebhookURL is empty":                                                                                  func(a *Args) { a.WebhookURL = "" },
		"forge: Args.Organization is argocd: an account has that name":                                                     func(a *Args) { a.Organization = "argocd" },
		"forge: Args.Teams[1].Name is empty":                                                                               func(a *Args) { a.Teams[1].Name = "" },
		"forge: Args.GuardURL is empty":                                                                                    func(a *Args) { a.GuardURL = "" },
		"forge: Args.PassedURL is empty":                                                                                   func(a *Args) { a.PassedURL = "" },
		"forge: Args.GuardContext is empty":                                                                                func(a *Args) { a.GuardContext = "" },
		`forge: Args.Teams[0].Members[2] is "ops": a name of its own`:                                                      func(a *Args) { a.Teams[0].Members = append(a.Teams[0].Members, Admin) },
		`forge: Args.Teams[0].Members[2] is "guard": a name of its own`:                                                    func(a *Args) { a.Teams[0].Members = append(a.Teams[0].Members, "guard") },
		`forge: Args.Teams[0].Members[2] is "acme": a name of its own`:                                                     func(a *Args) { a.Teams[0].Members = append(a.Teams[0].Members, "acme") },
		`forge: Args.Teams[1].Mergers[1] is "anna", who is none of Members`:                                                func(a *Args) { a.Teams[1].Mergers = append(a.Teams[1].Mergers, "anna") },
		"forge: Args.Teams[1].Approvals is 1: less than there are Mergers, nobody approves what is his own":                func(a *Args) { a.Teams[1].Approvals = 1 },
		`forge: Args.Teams[1].Repositories[0] is "mine", which Args.Repositories has not`:                                  func(a *Args) { a.Teams[1].Repositories[0] = "mine" },
		"forge: Args.NodePort is 0":                                                                                        func(a *Args) { a.NodePort = 0 },
		`forge: Args.Repositories[1] is "platform": a name of its own, other than platform`:                                func(a *Args) { a.Repositories[1], a.Teams = Platform, nil },
		`forge: Args.Repositories[1] is "endpoints": a name of its own, other than platform`:                               func(a *Args) { a.Repositories[1], a.Teams = "endpoints", nil },
		"forge: Args.Folder is empty":                                                                                      func(a *Args) { a.Folder = "" },
		"forge: Args.MaxPush is 5 and Args.MaxRepository 134217728: at least 1048576, the second at least the first":       func(a *Args) { a.MaxPush = 5 },
		"forge: Args.MaxPush is 20971520 and Args.MaxRepository 20971519: at least 1048576, the second at least the first": func(a *Args) { a.MaxRepository = 20<<20 - 1 },
	} {
		a := args()
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "forge", a)
			return err
		}))
	}
	assert.Equal(t, "forge: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "forge", nil)
		return err
	}))
}

// mount is where a container has a volume.
func mount(container any, volume string) any {
	for _, m := range recorder.At(container, "volumeMounts").([]any) {
		if recorder.At(m, "name") == volume {
			return recorder.At(m, "mountPath")
		}
	}
	return nil
}

func TestNobodyReachesGiteaButThroughWhatSpeaksTLSAndCountsPasswords(t *testing.T) {
	r, _ := build(t, args())
	assert.Contains(t, settings(args()), "HTTP_ADDR = 127.0.0.1\nHTTP_PORT = 3001\n")
	assert.Contains(t, initScript, "http://127.0.0.1:3001\n", "the administrator's password is set nowhere")
	server := r.Get(t, "Deployment", "gitea").Object()
	proxy := recorder.At(server, "spec.template.spec.containers.1")
	assert.Equal(t, []any{"--listen=:3000", "--upstream=http://127.0.0.1:3001", "--checker=guard", "--public-url=https://10.0.0.7:30082", "--certificate=" + certificateDir}, recorder.At(proxy, "args"))
	assert.Equal(t, "HTTPS", recorder.At(proxy, "readinessProbe.httpGet.scheme"))
	assert.Equal(t, certificateDir, mount(proxy, "certificate"))
	assert.Nil(t, mount(recorder.At(server, "spec.template.spec.containers.0"), "certificate"), "Gitea has the key")
	assert.Equal(t, "proxy", recorder.At(r.Get(t, "Service", "gitea").Object(), "spec.ports.0.targetPort"))
	secret := r.Get(t, "Secret", certificateName)
	secret.AssertSecret(t, "data")
	assert.True(t, r.Waits(r.Get(t, "Deployment", "gitea"), secret))
}

func TestTheBootstrapTrustsTheAuthorityOnly(t *testing.T) {
	r, _ := build(t, args())
	authority, bootstrap := r.Get(t, "ConfigMap", authorityName), r.Get(t, "Job", "gitea-bootstrap-*")
	assert.Equal(t, "the authority", authority.Object()["data"].(map[string]any)[certificates.AuthorityKey])
	assert.True(t, r.Waits(bootstrap, authority))
	container := recorder.At(bootstrap.Object(), "spec.template.spec.containers.0")
	assert.Equal(t, authorityDir, mount(container, "authority"))
	assert.Contains(t, recorder.At(container, "env"), map[string]any{"name": "CURL_CA_BUNDLE", "value": authorityDir + "/ca.crt"})
	assert.NotContains(t, bootstrapScript+initScript, "insecure")
}

func TestItSpeaksPlainHTTPOnlyWhereThatIsAskedFor(t *testing.T) {
	a := args()
	a.HTTP = true
	r, f := build(t, a)
	assert.Equal(t, "http://10.0.0.7:30082", f.URL)
	assert.Equal(t, "http://gitea.forge.svc:3000/acme/platform.git", f.Platform.URL)
	proxy := recorder.At(r.Get(t, "Deployment", "gitea").Object(), "spec.template.spec.containers.1")
	assert.Equal(t, []any{"--listen=:3000", "--upstream=http://127.0.0.1:3001", "--checker=guard", "--public-url=http://10.0.0.7:30082"}, recorder.At(proxy, "args"))
	assert.Equal(t, "HTTP", recorder.At(proxy, "readinessProbe.httpGet.scheme"))
}
