package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	containerType = "docker:index/container:Container"
	networkType   = "docker:index/network:Network"
	volumeType    = "docker:index/volume:Volume"
	imageType     = "docker:index/remoteImage:RemoteImage"
	builtType     = "docker:index/image:Image"
)

func settings() config.Cluster {
	c := config.Default().Cluster
	c.Provider = config.ProviderDocker
	return c
}

// building has two images built.
func building(a *DockerArgs) {
	image := func(name, dir, target string) ownimages.Build {
		return ownimages.Build{
			Image:     ownimages.Image{Name: name, Published: "ghcr.io/neuroscale-platform/" + name + ":v1", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Target: target},
			Reference: "ghcr.io/neuroscale-platform/" + name + ":v1-0123456789ab",
		}
	}
	a.Builds = []ownimages.Build{image("guard", "/checkout", "guard"), image("portal", "/checkout/portal", "")}
	a.Bases, a.RegistryImage = []string{"docker.io/library/golang:1"}, "docker.io/library/registry:3"
}

// inDocker are Args of a cluster on an engine that has room.
func inDocker(change func(*DockerArgs)) *DockerArgs {
	args := &DockerArgs{
		Name: "neuroscale-test", Settings: settings(), Image: "docker.io/rancher/k3s:v1@sha256:0",
		Ports:     []config.NodePort{{Setting: "gitops.nodePort", Port: 30081}, {Setting: "serving.gateway.nodePort", Port: 30080}},
		Preflight: func(context.Context, Wanted) error { return nil },
	}
	if change != nil {
		change(args)
	}
	return args
}

func bringUp(t *testing.T, args *DockerArgs, o recorder.Options) *recorder.Recording {
	t.Helper()
	return recorder.MustRun(t, func(ctx *pulumi.Context) error {
		_, err := Docker(ctx, "cluster", args)
		return err
	}, o)
}

func TestEverythingOfAClusterInDockerBelongsToIt(t *testing.T) {
	r := bringUp(t, inDocker(func(a *DockerArgs) { building(a); a.Settings.Agents, a.Host = 2, "ssh://elsewhere" }), recorder.Options{})
	component := r.Type(t, Token, "cluster")
	engine := r.Type(t, "pulumi:providers:docker", "cluster")
	assert.Equal(t, "ssh://elsewhere", engine.Object()["host"], "the plugin asks another engine than the docker command")
	for _, g := range r.Registrations {
		if g == component {
			continue
		}
		assert.Equal(t, component.URN, g.Parent, g.URN)
		if strings.HasPrefix(g.Type, "docker:") {
			assert.Equal(t, engine.URN+"::"+"cluster-id", g.Provider, g.URN)
		}
		inputs := g.Object()
		switch g.Type {
		case containerType, networkType, volumeType:
			assert.Equal(t, []any{map[string]any{"label": Label, "value": "neuroscale-test"}}, inputs["labels"], g.URN)
		}
	}
}

func TestAServerListensOnLoopbackOnly(t *testing.T) {
	r := bringUp(t, inDocker(nil), recorder.Options{})
	server := r.Type(t, containerType, "cluster").Object()
	var ports []any
	for _, p := range server["ports"].([]any) {
		port := p.(map[string]any)
		assert.Equal(t, "127.0.0.1", port["ip"])
		ports = append(ports, port["internal"], port["external"])
	}
	assert.Equal(t, []any{6443.0, 6550.0, 30080.0, 30080.0, 30081.0, 30081.0}, ports, "the provider reads them back in this order")
}

func TestARefreshFindsTimesAsTheyWereAskedFor(t *testing.T) {
	check := bringUp(t, inDocker(nil), recorder.Options{}).Type(t, containerType, "cluster").Object()["healthcheck"].(map[string]any)
	for _, field := range []string{"interval", "timeout", "startPeriod"} {
		d, err := time.ParseDuration(check[field].(string))
		require.NoError(t, err)
		assert.Equal(t, d.String(), check[field], "the container would be made anew by every update")
	}
}

// What the containers of users lost on a restart of Docker, or of their laptop.
func TestANodeKeepsItsAddressItsStateAndItself(t *testing.T) {
	r := bringUp(t, inDocker(func(a *DockerArgs) { a.Settings.Agents = 1 }), recorder.Options{})
	network := r.Type(t, networkType, "cluster")
	assert.Equal(t, []any{map[string]any{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}}, network.Object()["ipamConfigs"])
	for name, address := range map[string]string{"cluster": "10.89.0.2", "cluster-agent-1": "10.89.0.3"} {
		node := r.Type(t, containerType, name)
		inputs := node.Object()
		assert.Equal(t, address, recorder.At(inputs, "networksAdvanced.0.ipv4Address"))
		assert.Equal(t, "/var/lib/rancher/k3s", recorder.At(inputs, "volumes.0.containerPath"))
		assert.Equal(t, r.Type(t, volumeType, name).Object()["name"], recorder.At(inputs, "volumes.0.volumeName"))
		assert.Equal(t, "unless-stopped", inputs["restart"])
		assert.Equal(t, true, inputs["privileged"])
		assert.Equal(t, "cluster imageId", inputs["image"], "by its name it would be made anew by every update")
		assert.True(t, r.Waits(node, network), "%s has no network", name)
	}
	assert.Contains(t, r.Type(t, containerType, "cluster").Object()["command"], "--node-ip=10.89.0.2")
}

func TestAServerIsWaitedForAndAnAgentWaitsForIt(t *testing.T) {
	r := bringUp(t, inDocker(func(a *DockerArgs) { a.Settings.Agents = 1 }), recorder.Options{})
	server, agent := r.Type(t, containerType, "cluster"), r.Type(t, containerType, "cluster-agent-1")
	assert.Equal(t, true, server.Object()["wait"])
	assert.NotEmpty(t, recorder.At(server.Object(), "healthcheck.tests"))
	assert.True(t, r.Waits(agent, server))
	assert.True(t, r.Waits(r.Type(t, "pulumi:providers:kubernetes", "cluster"), server), "objects could be sent to a cluster that is not there")
	assert.True(t, agent.Inputs["envs"].ContainsSecrets(), "the token of the cluster is readable")
	assert.Contains(t, server.Object()["envs"], "K3S_TOKEN=cluster-token result")
	assert.Contains(t, agent.Object()["command"], "--server=https://10.89.0.2:6443")
}

func TestLimitsAreThoseOfTheSettings(t *testing.T) {
	r := bringUp(t, inDocker(func(a *DockerArgs) { a.Settings.CPUs, a.Settings.Memory = 3, "6Gi" }), recorder.Options{})
	server := r.Type(t, containerType, "cluster").Object()
	assert.Equal(t, "3", server["cpus"])
	assert.Equal(t, 6144.0, server["memory"])
	assert.Equal(t, 6144.0, server["memorySwap"], "swap would be added to the limit")
	free := bringUp(t, inDocker(nil), recorder.Options{}).Type(t, containerType, "cluster").Object()
	assert.NotContains(t, free, "cpus")
}

func TestTheKubeconfigIsMadeOfWhatWasMadeBefore(t *testing.T) {
	r := bringUp(t, inDocker(nil), recorder.Options{})
	provider := r.Type(t, "pulumi:providers:kubernetes", "cluster")
	assert.True(t, provider.Inputs["kubeconfig"].IsSecret())
	assert.Equal(t, r.Type(t, containerType, "cluster").URN, provider.DeletedWith)
	var k struct {
		Clusters []struct {
			Cluster map[string]string `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User map[string]string `json:"user"`
		} `json:"users"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(provider.Object()["kubeconfig"].(string)), &k))
	decoded := func(text string) string {
		plain, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		return string(plain)
	}
	assert.Equal(t, "https://127.0.0.1:6550", k.Clusters[0].Cluster["server"])
	assert.Equal(t, "cluster-server-ca certPem", decoded(k.Clusters[0].Cluster["certificate-authority-data"]))
	assert.Equal(t, "cluster-admin certPem", decoded(k.Users[0].User["client-certificate-data"]))
	assert.Equal(t, "cluster-admin privateKeyPem", decoded(k.Users[0].User["client-key-data"]))
	admin := r.Type(t, "tls:index/locallySignedCert:LocallySignedCert", "cluster-admin").Object()
	assert.Equal(t, "cluster-client-ca certPem", admin["caCertPem"], "k3s knows its clients by another authority than its servers")
	assert.Equal(t, "system:masters", recorder.At(r.Type(t, "tls:index/certRequest:CertRequest", "cluster-admin").Object(), "subject.organization"))

	uploads := map[string]any{}
	for _, u := range r.Type(t, containerType, "cluster").Object()["uploads"].([]any) {
		uploads[u.(map[string]any)["file"].(string)] = u.(map[string]any)["content"]
	}
	assert.Equal(t, "cluster-server-ca certPem", uploads["/var/lib/rancher/k3s/server/tls/server-ca.crt"])
	assert.Equal(t, "cluster-client-ca privateKeyPem", uploads["/var/lib/rancher/k3s/server/tls/client-ca.key"])
	assert.Equal(t, "cluster-front-proxy-ca certPem", uploads["/var/lib/rancher/k3s/server/tls/request-header-ca.crt"])
	r.AssertNoSecretOutside(t, " privateKeyPem")
}

// golden is a distribution's containers as they are asked for, but for certificates.
func golden(t *testing.T, name string, r *recorder.Recording) {
	t.Helper()
	out := map[string]any{}
	for _, g := range r.Registrations {
		if g.Type == containerType {
			out[g.Name] = g.Object()
		}
	}
	got, err := yaml.Marshal(out)
	require.NoError(t, err)
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run `go test ./components/cluster -update`")
}

func TestWhatK3sIsToldIsKnown(t *testing.T) {
	golden(t, "k3s", bringUp(t, inDocker(func(a *DockerArgs) {
		building(a)
		a.Settings.Agents = 1
		a.Settings.Mirrors = []config.Mirror{{Registry: "docker.io", Endpoint: "http://mirror.example:5000"}, {Registry: "docker.io", Endpoint: "https://other.example"}, {Registry: "quay.io", Endpoint: "http://mirror.example:5000"}, {Registry: "ghcr.io", Endpoint: "https://other.example"}}
	}), recorder.Options{}))
}

func TestWhatANodeIsToldIsKnown(t *testing.T) {
	golden(t, "node", bringUp(t, inDocker(func(a *DockerArgs) {
		a.Settings.Distribution, a.Settings.Images, a.Image = config.DistributionNode, "/home/somebody/.cache/neuroscale", "docker.io/neuroscale/node:v1"
	}), recorder.Options{}))
}

func TestAPreviewAsksNothingOfTheEngine(t *testing.T) {
	args := inDocker(func(a *DockerArgs) {
		building(a)
		a.Preflight = func(context.Context, Wanted) error { return errors.New("the Docker engine was asked") }
	})
	r := bringUp(t, args, recorder.Options{DryRun: true})
	assert.Len(t, r.Registrations, len(bringUp(t, inDocker(building), recorder.Options{}).Registrations), "the preview shows another cluster")
	message := recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := Docker(ctx, "cluster", args)
		return err
	})
	assert.Equal(t, "the Docker engine was asked", message)
}

func TestTheEngineIsAskedForWhatTheClusterWants(t *testing.T) {
	var got Wanted
	bringUp(t, inDocker(func(a *DockerArgs) {
		building(a)
		a.Settings.CPUs = 2
		a.Preflight = func(_ context.Context, want Wanted) error { got = want; return nil }
	}), recorder.Options{})
	assert.Equal(t, Wanted{
		Cluster: "neuroscale-test", CPUs: 2, Memory: 8 << 30, Inotify: 1024,
		Ports: []config.NodePort{
			{Setting: "cluster.apiPort", Port: 6550}, {Setting: "cluster.registryPort", Port: 6551},
			{Setting: "gitops.nodePort", Port: 30081}, {Setting: "serving.gateway.nodePort", Port: 30080},
		},
		Bases: []string{"docker.io/library/golang:1"},
	}, got)
}

func TestArgsOfAClusterInDockerAreCheckedAtOnce(t *testing.T) {
	message := recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := Docker(ctx, "cluster", &DockerArgs{Settings: config.Cluster{Distribution: "minikube", Subnet: "10.0.0.0"}, Builds: make([]ownimages.Build, 1)})
		return err
	})
	for _, want := range []string{"Name is empty", "Image is empty", "RegistryImage is empty", `there is no distribution "minikube"`, "Subnet:"} {
		assert.Contains(t, message, want)
	}
	_, err := recorder.Run(func(ctx *pulumi.Context) error {
		_, err := Docker(ctx, "cluster", nil)
		return err
	}, recorder.Options{})
	require.Error(t, err)
	assert.True(t, strings.HasSuffix(err.Error(), "cluster: no Args"))
}
