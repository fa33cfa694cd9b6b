package cluster

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func answers(context.Context, string) error { return nil }

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
	provider, address := adopt(t, &Args{Kubeconfig: kubetest.File(t, kubetest.Kubeconfig), Reach: answers}, recorder.Options{})
	assert.Equal(t, "10.0.0.7", address)
	assert.True(t, provider.Inputs["kubeconfig"].IsSecret())
	inputs := provider.Object()
	assert.Contains(t, inputs["kubeconfig"], "https://10.0.0.7:6443")
	assert.NotContains(t, inputs["kubeconfig"], "other.example", "a context that is not used left the machine")
	assert.Equal(t, true, inputs["enableServerSideApply"])
	assert.NotContains(t, inputs, "deleteUnreachable", "a destroy that is to forget a cluster that is gone does not")
}

// The provider would otherwise delete and create what is read all the time, and
// replace what depends on it.
func TestConfigMapsAndSecretsOfFixedNameAreChangedInPlace(t *testing.T) {
	provider, _ := adopt(t, &Args{Kubeconfig: kubetest.File(t, kubetest.Kubeconfig), Reach: answers}, recorder.Options{})
	assert.Equal(t, true, provider.Object()["enableConfigMapMutable"])
	assert.Equal(t, true, provider.Object()["enableSecretMutable"])
}

func TestContextAddressAndDeleteUnreachableAreTaken(t *testing.T) {
	provider, address := adopt(t, &Args{
		Kubeconfig: kubetest.File(t, kubetest.Kubeconfig), Context: "other", Address: "models.example", DeleteUnreachable: true, Reach: answers,
	}, recorder.Options{})
	assert.Equal(t, "models.example", address)
	assert.Contains(t, provider.Object()["kubeconfig"], "other.example")
	assert.Equal(t, true, provider.Object()["deleteUnreachable"])
}

func TestTheClusterStaysTheSameForAnotherUserAndChangesWithItsAuthority(t *testing.T) {
	identifier := func(content string) any {
		provider, _ := adopt(t, &Args{Kubeconfig: kubetest.File(t, content), Reach: answers}, recorder.Options{})
		return provider.Object()["clusterIdentifier"]
	}
	first := identifier(kubetest.Kubeconfig)
	assert.NotEmpty(t, first)
	assert.Equal(t, first, identifier(strings.ReplaceAll(kubetest.Kubeconfig, "the-token", "another-token")))
	assert.NotEqual(t, first, identifier(strings.ReplaceAll(kubetest.Kubeconfig, "Y2E=", "Y2I=")))
	assert.NotEqual(t, first, identifier(strings.ReplaceAll(kubetest.Kubeconfig, "10.0.0.7", "10.0.0.8")))
}

func TestTheProviderGetsTheClusterThatKubectlWouldTake(t *testing.T) {
	first := kubetest.File(t, strings.Replace(kubetest.Kubeconfig, "current-context: lab", "current-context: ''", 1))
	second := kubetest.File(t, strings.NewReplacer("lab", "own", "10.0.0.7", "10.0.0.8").Replace(kubetest.Kubeconfig))
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+second)
	provider, address := adopt(t, &Args{Reach: answers}, recorder.Options{})
	assert.Equal(t, "10.0.0.8", address)
	assert.Contains(t, provider.Object()["kubeconfig"], "https://10.0.0.8:6443")
}

func TestWhatIsWrongWithAClusterIsOneSentence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "https://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	for name, test := range map[string]struct {
		args *Args
		want string
	}{
		"no Args": {nil, "cluster: no Args"},
		"missing": {&Args{Kubeconfig: "/missing/kubeconfig"}, "the kubeconfig /missing/kubeconfig does not exist: "},
		"told to be unreachable": {
			&Args{Kubeconfig: kubetest.File(t, kubetest.Kubeconfig), Reach: func(context.Context, string) error { return errors.New("connection refused") }},
			"the cluster at https://10.0.0.7:6443 of the kubeconfig ",
		},
		"unreachable": {
			&Args{Kubeconfig: kubetest.File(t, strings.NewReplacer("https://10.0.0.7:6443", closed, ", certificate-authority-data: Y2E=", "").Replace(kubetest.Kubeconfig))},
			"does not answer (connect: connection refused): start it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			message := recorder.Refusal(t, func(ctx *pulumi.Context) error {
				_, err := Existing(ctx, "cluster", test.args)
				return err
			})
			assert.Contains(t, message, test.want)
			assert.NotContains(t, message, "\n")
		})
	}
}

func TestAPreviewGoesOnWithoutACluster(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	provider, address := adopt(t, &Args{Kubeconfig: missing}, recorder.Options{DryRun: true})
	assert.Equal(t, "localhost", address)
	assert.NotContains(t, provider.Object(), "kubeconfig", "of an unknown cluster nothing is known")
}
