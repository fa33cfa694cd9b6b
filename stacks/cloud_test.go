package stacks

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

// cloud is the example of settings for a cluster in the cloud.
func cloud(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "Pulumi.cloud.example.yaml"))
	require.NoError(t, err)
	var file struct {
		Config map[string]json.RawMessage `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	raw := map[string]string{}
	for key, value := range file.Config {
		raw[key] = string(value)
	}
	return raw
}

// elsewhere is an image that is pulled from where it is published.
var elsewhere = regexp.MustCompile(`(^|[^/\w.-])((docker\.io|gcr\.io|quay\.io|ghcr\.io|public\.ecr\.aws|reg\.kyverno\.io)/[\w./-]+:[\w.-]+)`)

func TestTheExampleForACloudMakesAStack(t *testing.T) {
	raw := cloud(t)
	r := recorder.MustRun(t, programWith(t, raw, nil), recorder.Options{})
	r.AssertBelongs(t, "cluster", "certificates", "forge", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")

	objects := map[string]map[string]any{}
	for _, g := range r.Registrations {
		if o := g.Object(); o["kind"] != nil {
			objects[g.URN] = o
		}
	}
	cfg, err := Config(raw)
	require.NoError(t, err)
	layers, err := Layers(cfg)
	require.NoError(t, err)
	source := Source(realRenderer(t).Mirrored(cfg.Cluster.ImageRegistry), layers)
	for _, d := range layers {
		tree, err := d.Tree(context.Background(), source)
		require.NoError(t, err, d.Name)
		for _, o := range tree.Objects() {
			objects[d.Name+" "+o["kind"].(string)+" "+recorder.At(o, "metadata.name").(string)] = o
		}
	}

	claims, images := 0, 0
	for where, o := range objects {
		if o["kind"] == "PersistentVolumeClaim" {
			claims++
			assert.Equal(t, "gp3", recorder.At(o, "spec.storageClassName"), where)
		}
		text, err := json.Marshal(o)
		require.NoError(t, err)
		images += strings.Count(string(text), `"registry.example.org/mirror/`)
		for _, found := range elsewhere.FindAllStringSubmatch(string(text), -1) {
			// The examples are the first content of a repository, and people's.
			assert.Equalf(t, "ConfigMap", o["kind"], "%s pulls %s from where the cluster may not reach", where, found[2])
			assert.Containsf(t, where, "endpoints-apps", "%s pulls %s from where the cluster may not reach", where, found[2])
		}
	}
	assert.Equal(t, 3, claims, "forge, portal and Prometheus have a volume each")
	assert.Greater(t, images, 30)

	for _, where := range []string{
		"knative Deployment 3scale-kourier-gateway", "knative Deployment activator", "knative Deployment autoscaler", "knative Deployment controller",
		"knative Deployment net-kourier-controller", "knative Deployment webhook", "kserve Deployment kserve-controller-manager",
		"doorkeeper Deployment doorkeeper", "kyverno Deployment kyverno-admission-controller",
		"argocd Deployment argocd-server", "argocd Deployment argocd-repo-server", "argocd Deployment argocd-applicationset-controller",
	} {
		require.Contains(t, objects, where)
		assert.EqualValues(t, 2, recorder.At(objects[where], "spec.replicas"), where)
		budget := objects[strings.Replace(where, "Deployment", "PodDisruptionBudget", 1)]
		assert.Equalf(t, recorder.At(objects[where], "spec.selector"), recorder.At(budget, "spec.selector"), "%s may be emptied all at once", where)
	}
	// Two that both acted would undo what the other did.
	assert.Contains(t, recorder.At(objects["kserve Deployment kserve-controller-manager"], "spec.template.spec.containers.0.args"), "--leader-elect")
	text, err := json.Marshal(objects["argocd Deployment argocd-applicationset-controller"])
	require.NoError(t, err)
	assert.Contains(t, string(text), `{"name":"ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_LEADER_ELECTION","value":"true"}`)

	gateway := objects["knative Service kourier"]
	assert.Equal(t, "LoadBalancer", recorder.At(gateway, "spec.type"))
	assert.EqualValues(t, 443, recorder.At(gateway, "spec.ports.0.port"))
	assert.Equal(t, "internet-facing", recorder.At(gateway, "metadata.annotations").(map[string]any)["service.beta.kubernetes.io/aws-load-balancer-scheme"])
	assert.Contains(t, certified(t, r, "gateway"), "gateway.models.example.org", "clients do not believe the gateway at its own name")
	assert.Contains(t, certified(t, r, "gateway"), "kourier.kourier-system.svc", "the portal does not believe the gateway")
	assert.Contains(t, certified(t, r, "portal"), "portal.example.org", "browsers do not believe the portal at its own name")
}

// certified are the names that a server's certificate is for.
func certified(t *testing.T, r *recorder.Recording, server string) []string {
	t.Helper()
	var hosts []string
	for _, name := range r.Type(t, "tls:index/certRequest:CertRequest", "certificates-"+server).Inputs["dnsNames"].ArrayValue() {
		hosts = append(hosts, name.StringValue())
	}
	return hosts
}

// The command that copies the images to a registry of one's own finds them by a pattern.
func TestTheGuideToCloudsFindsEveryImage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "cloud.md"))
	require.NoError(t, err)
	command := regexp.MustCompile(`(?m)^sed .* gitops/upstream\.yaml`).FindString(string(text))
	require.NotEmpty(t, command)
	run := exec.Command("bash", "-c", command)
	run.Dir = ".."
	out, err := run.Output()
	require.NoError(t, err)
	upstream := realRenderer(t).Upstream()
	mine := maps.Clone(upstream.Images)
	// Nodes in Docker are no part of a cloud.
	delete(mine, "k3s")
	delete(mine, "node")
	delete(mine, "registry")
	all := slices.Collect(maps.Values(mine))
	for _, m := range upstream.Modules {
		all = slices.AppendSeq(all, maps.Values(m.Images))
	}
	assert.ElementsMatch(t, all, strings.Fields(string(out)))
}
