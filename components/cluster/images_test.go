package cluster

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func TestOwnImagesAreBuiltOfTheCheckoutAndPushedForTheNodes(t *testing.T) {
	r := bringUp(t, inDocker(building), recorder.Options{})
	for name, want := range map[string]map[string]any{
		"cluster-guard":  {"context": "/checkout", "dockerfile": "/checkout/Dockerfile", "target": "guard"},
		"cluster-portal": {"context": "/checkout/portal", "dockerfile": "/checkout/portal/Dockerfile"},
	} {
		want["args"] = map[string]any{"REGISTRY": "cluster-registry-id"}
		inputs := r.Type(t, builtType, name).Object()
		assert.Equal(t, want, inputs["build"], "%s: of a registry that is made anew nobody would notice that it is empty", name)
		assert.Equal(t, "127.0.0.1:6551/neuroscale-platform/"+name[len("cluster-"):]+":v1-0123456789ab", inputs["imageName"])
		assert.Equal(t, false, inputs["skipPush"])
		assert.Equal(t, false, inputs["buildOnPreview"], "a preview needs Docker")
	}
	assert.Len(t, r.Type(t, containerType, "cluster-registry").Object()["ports"], 1)
	assert.Equal(t, map[string]any{"name": "docker.io/library/registry:3", "keepLocally": true}, r.Type(t, imageType, "cluster-registry").Object())
}

func TestNothingIsAppliedBeforeItsImagesCanBePulled(t *testing.T) {
	r := bringUp(t, inDocker(building), recorder.Options{})
	registry, server := r.Type(t, containerType, "cluster-registry"), r.Type(t, containerType, "cluster")
	provider := r.Type(t, "pulumi:providers:kubernetes", "cluster")
	assert.True(t, r.Waits(registry, r.Type(t, networkType, "cluster")))
	assert.True(t, r.Waits(registry, r.Type(t, volumeType, "cluster-registry")))
	for _, name := range []string{"cluster-guard", "cluster-portal"} {
		image := r.Type(t, builtType, name)
		assert.True(t, r.Waits(image, registry), "%s is pushed to nobody", name)
		assert.True(t, r.Waits(provider, image), "pods are made before %s is there", name)
		assert.False(t, r.Waits(image, server), "%s is built after the cluster, not beside it", name)
		assert.False(t, r.Waits(server, image), "the cluster starts after %s, not beside it", name)
	}
	assert.Equal(t, true, registry.Object()["wait"])
	assert.Equal(t, "127.0.0.1", recorder.At(registry.Object(), "ports.0.ip"), "others may push images")
}

// Pods reach the registry as well: what one could push there would run as the platform.
func TestOnlyWhoHasThePasswordPushesImages(t *testing.T) {
	r := bringUp(t, inDocker(func(a *DockerArgs) { building(a); a.Settings.Agents = 1 }), recorder.Options{})
	registry := r.Type(t, containerType, "cluster-registry")
	assert.Contains(t, registry.Object()["envs"], "REGISTRY_AUTH=htpasswd")
	assert.Contains(t, registry.Object()["envs"], "REGISTRY_AUTH_HTPASSWD_PATH="+recorder.At(registry.Object(), "uploads.0.file").(string))
	assert.Equal(t, "neuroscale:cluster-registry bcryptHash\n", recorder.At(registry.Object(), "uploads.0.content"))
	image := r.Type(t, builtType, "cluster-guard")
	assert.Equal(t, map[string]any{"server": "127.0.0.1:6551", "username": "neuroscale", "password": "cluster-registry result"}, image.Object()["registry"])
	for _, node := range []string{"cluster", "cluster-agent-1"} {
		text, err := json.Marshal(r.Type(t, containerType, node).Object()["uploads"])
		require.NoError(t, err)
		assert.Contains(t, string(text), `configs:\n  \"10.89.0.254:5000\":\n    auth:\n      username: neuroscale\n      password: cluster-registry result\n`, node)
	}
	r.AssertNoSecretOutside(t, "cluster-registry result", "cluster-registry bcryptHash")
}

func TestWithoutBuildsThereIsNoRegistry(t *testing.T) {
	r := bringUp(t, inDocker(nil), recorder.Options{})
	for _, g := range r.Registrations {
		assert.NotContains(t, g.Name, "registry")
		assert.NotEqual(t, builtType, g.Type)
	}
}

// An address that a node has is refused by Docker, and so is the last one.
func TestTheRegistrysAddressIsNobodyElses(t *testing.T) {
	for subnet, want := range map[string]string{"10.89.0.0/24": "10.89.0.254", "10.89.1.32/27": "10.89.1.62", "172.30.0.0/16": "172.30.255.254", "10.89.2.0/23": "10.89.3.254"} {
		args := inDocker(func(a *DockerArgs) { a.Settings.Subnet = subnet })
		assert.Equal(t, want, args.registryAddress())
		for node := range 9 {
			assert.NotEqual(t, want, args.address(node), subnet)
		}
	}
}

func TestANodeAsksTheRegistryOfItsClusterFirst(t *testing.T) {
	args := inDocker(building)
	args.Settings.Mirrors = []config.Mirror{{Registry: "ghcr.io", Endpoint: "https://other.example"}}
	assert.Equal(t, []config.Mirror{{Registry: "ghcr.io", Endpoint: "http://10.89.0.254:5000"}, args.Settings.Mirrors[0]}, args.mirrors())
	assert.Contains(t, k3sFiles(args, nil)["/etc/rancher/k3s/registries.yaml"], `    endpoint:
      - "http://10.89.0.254:5000"
      - "https://other.example"
`)
	args.Builds = nil
	assert.Equal(t, args.Settings.Mirrors, args.mirrors())
}
