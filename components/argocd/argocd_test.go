package argocd

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

func repository(name string) forge.Repository {
	return forge.Repository{
		URL:       "http://forge/" + name + ".git",
		Authority: pulumi.String("the authority").ToStringOutput(),
		Reader:    forge.Account{Username: "reader", Password: pulumi.String(name + "-password").ToStringOutput()},
	}
}

func args(t *testing.T) *Args {
	return &Args{
		Settings: config.GitOps{NodePort: 30081}, Address: "10.0.0.7", Source: layer.Source{Renderer: recorder.Renderer(t)},
		Certificate: certificates.Certificate{
			Chain: pulumi.String("the chain").ToStringOutput(), Key: pulumi.ToSecret(pulumi.String("the key")).(pulumi.StringOutput),
		},
		Forge: &forge.Forge{}, Platform: repository("platform"), WebhookSecret: pulumi.String("hook-secret"),
		Layers: append(Layers(config.GitOps{NodePort: 30081}, false),
			layer.Definition{Name: "models", Namespaces: []string{"models"}, ClusterKinds: []schema.GroupKind{{Kind: "Namespace"}}},
			layer.Definition{Name: "quotas", Shared: []string{"team"}}),
	}
}

func build(t *testing.T, with *Args) (*recorder.Recording, *ArgoCD) {
	t.Helper()
	return buildAt(t, "10.0.0.7", with)
}

// buildAt builds it with a forge whose node port is at an address.
func buildAt(t *testing.T, address string, with *Args) (*recorder.Recording, *ArgoCD) {
	t.Helper()
	var a *ArgoCD
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		var err error
		with.Forge, err = forge.New(ctx, "forge", &forge.Args{
			Image: "gitea:1", ProxyImage: "proxy:1", NodePort: 30082, Address: address, Storage: "1Gi", MaxPush: 2 << 20, MaxRepository: 4 << 20,
			Folder: "apps", Organization: "acme", Repositories: []string{"endpoints"}, WebhookURL: "http://argocd/webhook", GuardURL: "https://guard/hook", FollowerURL: "https://follower/hook", PassedURL: "https://guard/passed", GuardContext: "guard",
			Certificate: with.Certificate, Authority: with.Platform.Authority,
		}, on)
		if err != nil {
			return err
		}
		a, err = New(ctx, "argocd", with, on)
		return err
	})
	return r, a
}

func TestWhatProcessesReadIsThereBeforeThem(t *testing.T) {
	r, a := build(t, args(t))
	r.AssertBelongs(t, "argocd", "forge")
	for _, process := range []*recorder.Registration{
		r.Get(t, "Deployment", "argocd-server"), r.Get(t, "StatefulSet", "argocd-application-controller"),
	} {
		for _, earlier := range []*recorder.Registration{
			r.Get(t, "Namespace", Namespace), r.Get(t, "Secret", "argocd-secret"), r.Get(t, "Secret", "argocd-redis"),
			r.Get(t, "Secret", "repository-platform"),
			r.Get(t, "ConfigMap", "argocd-cm"), r.Get(t, "ServiceAccount", "argocd-server"),
			r.Get(t, "CustomResourceDefinition", "applications.argoproj.io"),
			r.Get(t, "ClusterRole", "argocd-server"),
		} {
			assert.Truef(t, r.Waits(process, earlier), "%s does not wait for %s", process.URN, earlier.URN)
		}
		assert.False(t, r.Waits(process, r.Get(t, "Service", "argocd-server")))
	}
	for _, project := range r.Kind("AppProject") {
		assert.True(t, r.Waits(project, r.Get(t, "CustomResourceDefinition", "appprojects.argoproj.io")))
		assert.False(t, r.Waits(project, r.Get(t, "Deployment", "argocd-server")), "a project needs no process")
	}
	assert.False(t, r.Waits(r.Get(t, "ConfigMap", "argocd-cm"), r.Get(t, "CustomResourceDefinition", "applications.argoproj.io")))
	assert.Len(t, a.Ready, 4, "one project, two workloads, one Service")
	assert.Len(t, a.ProjectsReady, 3, "the namespace, two definitions")
}

func TestObjectsOfTheNamespaceGoWithIt(t *testing.T) {
	r, _ := build(t, args(t))
	ns := r.Get(t, "Namespace", Namespace)
	for _, g := range r.Registrations {
		namespace, _ := recorder.At(g.Object(), "metadata.namespace").(string)
		switch {
		case namespace == forge.Namespace || g.ObjectName() == forge.Namespace:
			// Not Argo CD's.
		case g.Kind() == "AppProject":
			assert.Empty(t, g.DeletedWith, "Applications are deleted under their project")
		case namespace == Namespace:
			assert.Equal(t, ns.URN, g.DeletedWith, g.URN)
		default:
			assert.Empty(t, g.DeletedWith, g.URN)
		}
	}
}

// decoded is one text of a Secret.
func decoded(t *testing.T, secret *recorder.Registration, key string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(secret.Object()["data"].(map[string]any)[key].(string))
	require.NoError(t, err)
	return string(text)
}

func TestTheSettingsSecretIsCompleteSoThatArgoCDNeverWritesIt(t *testing.T) {
	r, _ := build(t, args(t))
	secret := r.Get(t, "Secret", "argocd-secret")
	secret.AssertSecret(t, "data")
	values := map[string]string{}
	for key := range secret.Object()["data"].(map[string]any) {
		values[key] = decoded(t, secret, key)
	}
	assert.Equal(t, map[string]string{
		"admin.password":      "argocd-admin bcryptHash",
		"admin.passwordMtime": "2000-01-01T00:00:00Z",
		"server.secretkey":    "argocd-server-key result",
		"webhook.gogs.secret": "hook-secret",

		"webhook.github.secret":          "argocd-unused-webhooks result",
		"webhook.gitlab.secret":          "argocd-unused-webhooks result",
		"webhook.bitbucket.uuid":         "argocd-unused-webhooks result",
		"webhook.bitbucketserver.secret": "argocd-unused-webhooks result",
		"webhook.azuredevops.username":   "argocd-unused-webhooks result",
		"webhook.azuredevops.password":   "argocd-unused-webhooks result",
	}, values)
	r.AssertNoSecretOutside(t, " result", " bcryptHash", "hook-secret", "platform-password")
}

// Argo CD's own source says which kinds there are.
func TestNoWebhookIsBelievedUnsigned(t *testing.T) {
	renderer, err := render.New(gitops.FS, "")
	require.NoError(t, err)
	source, err := renderer.Module(t.Context(), "argo-cd")
	require.NoError(t, err)
	settings, err := os.ReadFile(filepath.Join(source, "util", "settings", "settings.go"))
	require.NoError(t, err)
	keys := regexp.MustCompile(`"(webhook\.[a-z]+\.[a-z]+)"`).FindAllStringSubmatch(string(settings), -1)
	require.NotEmpty(t, keys)
	r, _ := build(t, args(t))
	data := r.Get(t, "Secret", "argocd-secret").Object()["data"].(map[string]any)
	for _, key := range keys {
		assert.NotEmpty(t, data[key[1]], "whoever reaches Argo CD sends it events of %s", key[1])
	}
}

func TestTheProjectReadsItsRepositoryOnly(t *testing.T) {
	r, _ := build(t, args(t))
	const url = "http://forge/platform.git"
	assert.Equal(t, []any{url}, recorder.At(r.Get(t, "AppProject", PlatformProject).Object(), "spec.sourceRepos"))
	secret := r.Get(t, "Secret", "repository-platform")
	secret.AssertSecret(t, "data")
	assert.Equal(t, "repository", recorder.At(secret.Object(), "metadata.labels").(map[string]any)["argocd.argoproj.io/secret-type"])
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(PlatformProject)), recorder.At(secret.Object(), "data.project"))
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(url)), recorder.At(secret.Object(), "data.url"))
}

func TestLayersReachWhatTheyAreDefinedFor(t *testing.T) {
	namespaces := func(shared ...string) []any {
		var out []any
		a := args(t)
		a.Layers[2].Shared = shared
		for _, destination := range recorder.At(platformProject(a).Object(), "spec.destinations").([]any) {
			out = append(out, recorder.At(destination, "namespace"))
		}
		return out
	}
	assert.Equal(t, []any{"default", "models", "team"}, namespaces("team"), "what was in default could not be pruned")
	assert.Equal(t, []any{"default", "models", "team"}, namespaces("default", "team"))
	assert.NotContains(t, namespaces("team"), "argocd", "a layer could change its own project")
	assert.Equal(t, []any{map[string]any{"group": "", "kind": "Namespace"}},
		recorder.At(platformProject(args(t)).Object(), "spec.clusterResourceWhitelist"))
}

func TestTheServerHasItsNodePort(t *testing.T) {
	r, a := build(t, args(t))
	spec := r.Get(t, "Service", "argocd-server").Object()["spec"]
	assert.Equal(t, "NodePort", recorder.At(spec, "type"))
	assert.Equal(t, 30081.0, recorder.At(spec, "ports.0.nodePort"))
	assert.Equal(t, "https://10.0.0.7:30081", a.URL)
}

func TestAnObjectWithoutNameIsRefused(t *testing.T) {
	in := &installation{name: "argocd"}
	err := in.apply([]manifest.Object{{"kind": "ConfigMap"}})
	require.EqualError(t, err, "a rendered object has no kind or name: map[kind:ConfigMap]")
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"argocd: Args.Source.Renderer is missing": func(a *Args) { a.Source.Renderer = nil },
		"argocd: Args.Address is empty":           func(a *Args) { a.Address = "" },
		"argocd: Args.Platform.URL is empty":      func(a *Args) { a.Platform.URL = "" },
		"argocd: Args.Forge is missing":           func(a *Args) { a.Forge = nil },
		"argocd: Args.Settings.NodePort is 0":     func(a *Args) { a.Settings.NodePort = 0 },
		"argocd: Args.WebhookSecret is missing":   func(a *Args) { a.WebhookSecret = nil },
		"argocd: Args.Layers has no argocd":       func(a *Args) { a.Layers = nil },
	} {
		a := args(t)
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "argocd", a)
			return err
		}))
	}
	assert.Equal(t, "argocd: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "argocd", nil)
		return err
	}))
}

func TestTheServerShowsItsCertificateAtItsOnePort(t *testing.T) {
	r, _ := build(t, args(t))
	server, secret := r.Get(t, "Deployment", "argocd-server"), r.Get(t, "Secret", "argocd-server-tls")
	secret.AssertSecret(t, "data")
	assert.Equal(t, "kubernetes.io/tls", secret.Object()["type"])
	assert.True(t, r.Waits(server, secret), "it would make one itself that nobody trusts")
	assert.Equal(t, []any{map[string]any{"name": "https", "port": 443.0, "targetPort": 8080.0, "protocol": "TCP", "nodePort": 30081.0}},
		recorder.At(r.Get(t, "Service", "argocd-server").Object(), "spec.ports"))
	assert.Equal(t, "false", recorder.At(r.Get(t, "ConfigMap", "argocd-cmd-params-cm").Object(), "data").(map[string]any)["server.insecure"])
	assert.Equal(t, "https", recorder.At(server.Object(), "spec.template.metadata.annotations").(map[string]any)["neuroscale.dev/scheme"])
	assert.Equal(t, "https://argocd-server.argocd.svc/api/webhook", WebhookURL(false))
}

func TestTheForgeIsBelievedByItsAuthority(t *testing.T) {
	r, _ := build(t, args(t))
	trust := r.Get(t, "ConfigMap", "argocd-tls-certs-cm")
	assert.Equal(t, map[string]any{"gitea.forge.svc": "the authority"}, trust.Object()["data"])
	assert.True(t, r.Waits(r.Get(t, "StatefulSet", "argocd-application-controller"), trust))
}

func TestItSpeaksPlainHTTPOnlyWhereThatIsAskedFor(t *testing.T) {
	a := args(t)
	a.HTTP = true
	own := Layers(config.GitOps{NodePort: 30081}, true)[0]
	a.Layers = append(a.Layers[1:len(a.Layers):len(a.Layers)], own)
	r, made := build(t, a)
	assert.Equal(t, "http://10.0.0.7:30081", made.URL)
	assert.Equal(t, 80.0, recorder.At(r.Get(t, "Service", "argocd-server").Object(), "spec.ports.0.port"))
	assert.Equal(t, "true", recorder.At(r.Get(t, "ConfigMap", "argocd-cmd-params-cm").Object(), "data").(map[string]any)["server.insecure"])
}
