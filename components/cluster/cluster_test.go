package cluster

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: lab
clusters:
- {name: lab, cluster: {server: "https://10.0.0.7:6443", certificate-authority-data: Y2E=}}
- {name: other, cluster: {server: "https://other.example:6443"}}
contexts:
- {name: lab, context: {cluster: lab, user: lab}}
- {name: other, context: {cluster: other, user: lab}}
users:
- {name: lab, user: {token: the-token}}
`

func answers(context.Context, string) error { return nil }

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// adopt runs Existing and returns its provider's inputs and the address.
func adopt(t *testing.T, args *Args, o recorder.Options) (*recorder.Registration, string) {
	t.Helper()
	var address string
	r := recorder.MustRun(t, func(ctx *pulumi.Context) error {
		c, err := Existing(ctx, "cluster", args)
		if err == nil {
			address = c.Address
		}
		return err
	}, o)
	component := r.Type(t, Token, "cluster")
	provider := r.Type(t, "pulumi:providers:kubernetes", "cluster")
	assert.Equal(t, component.URN, provider.Parent)
	return provider, address
}

func TestTheProviderGetsOneSelfContainedSecretContext(t *testing.T) {
	provider, address := adopt(t, &Args{Kubeconfig: write(t, kubeconfig), Reach: answers}, recorder.Options{})
	assert.Equal(t, "10.0.0.7", address)
	assert.True(t, provider.Inputs["kubeconfig"].IsSecret())
	inputs := provider.Object()
	assert.Contains(t, inputs["kubeconfig"], "https://10.0.0.7:6443")
	assert.NotContains(t, inputs["kubeconfig"], "other.example", "a context that is not used left the machine")
	assert.Equal(t, true, inputs["enableServerSideApply"])
	assert.Equal(t, false, inputs["deleteUnreachable"])
}

// The provider would otherwise delete and create what is read all the time, and
// replace what depends on it.
func TestConfigMapsAndSecretsOfFixedNameAreChangedInPlace(t *testing.T) {
	provider, _ := adopt(t, &Args{Kubeconfig: write(t, kubeconfig), Reach: answers}, recorder.Options{})
	assert.Equal(t, true, provider.Object()["enableConfigMapMutable"])
	assert.Equal(t, true, provider.Object()["enableSecretMutable"])
}

func TestContextAddressAndDeleteUnreachableAreTaken(t *testing.T) {
	provider, address := adopt(t, &Args{
		Kubeconfig: write(t, kubeconfig), Context: "other", Address: "models.example", DeleteUnreachable: true, Reach: answers,
	}, recorder.Options{})
	assert.Equal(t, "models.example", address)
	assert.Contains(t, provider.Object()["kubeconfig"], "other.example")
	assert.Equal(t, true, provider.Object()["deleteUnreachable"])
}

func TestTheClusterStaysTheSameForAnotherUserAndChangesWithItsAuthority(t *testing.T) {
	identifier := func(content string) any {
		provider, _ := adopt(t, &Args{Kubeconfig: write(t, content), Reach: answers}, recorder.Options{})
		return provider.Object()["clusterIdentifier"]
	}
	first := identifier(kubeconfig)
	assert.NotEmpty(t, first)
	assert.Equal(t, first, identifier(strings.ReplaceAll(kubeconfig, "the-token", "another-token")))
	assert.NotEqual(t, first, identifier(strings.ReplaceAll(kubeconfig, "Y2E=", "Y2I=")))
	assert.NotEqual(t, first, identifier(strings.ReplaceAll(kubeconfig, "10.0.0.7", "10.0.0.8")))
}

func TestKubeconfigFromTheEnvironment(t *testing.T) {
	t.Setenv("KUBECONFIG", write(t, kubeconfig))
	_, address := adopt(t, &Args{Reach: answers}, recorder.Options{})
	assert.Equal(t, "10.0.0.7", address)
}

func TestWhatIsWrongWithAKubeconfigIsOneSentence(t *testing.T) {
	for name, test := range map[string]struct {
		content, context string
		reach            func(context.Context, string) error
		want             string // FILE stands for the path
	}{
		"empty":        {content: "", want: "no kubeconfig at FILE: start a cluster"},
		"not YAML":     {content: "{", want: "the kubeconfig FILE cannot be read ("},
		"no context":   {content: kubeconfig, context: "lba", want: `the kubeconfig FILE has no context "lba": set neuroscale:cluster.context to one of lab, other`},
		"no such file": {content: strings.ReplaceAll(kubeconfig, "certificate-authority-data: Y2E=", "certificate-authority: /missing/ca.crt"), want: "the kubeconfig FILE names a file that cannot be read ("},
		"no server":    {content: strings.ReplaceAll(kubeconfig, "https://10.0.0.7:6443", "nonsense"), want: `the kubeconfig FILE has the server "nonsense": write a URL such as https://host:6443`},
		"unreachable": {
			content: kubeconfig, reach: func(context.Context, string) error { return errors.New("connection refused") },
			want: "the cluster https://10.0.0.7:6443 of FILE does not answer (connection refused): start it, or point KUBECONFIG or neuroscale:cluster.kubeconfig at one that runs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, test.content)
			if test.reach == nil {
				test.reach = answers
			}
			message := recorder.Refusal(t, func(ctx *pulumi.Context) error {
				_, err := Existing(ctx, "cluster", &Args{Kubeconfig: file, Context: test.context, Reach: test.reach})
				return err
			})
			assert.Contains(t, message, strings.ReplaceAll(test.want, "FILE", file))
			assert.NotContains(t, message, "\n")
		})
	}
	assert.Equal(t, "cluster: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := Existing(ctx, "cluster", nil)
		return err
	}))
}

func TestAPreviewGoesOnWithoutACluster(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	provider, address := adopt(t, &Args{Kubeconfig: missing}, recorder.Options{DryRun: true})
	assert.Equal(t, "localhost", address)
	assert.NotContains(t, provider.Object(), "kubeconfig", "of an unknown cluster nothing is known")
}

func TestDialTellsWhetherSomebodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := "https://" + listener.Addr().String()
	require.NoError(t, dial(t.Context(), server))
	require.NoError(t, listener.Close())
	require.Error(t, dial(t.Context(), server))
}
