package cost

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Names of the layers.
const (
	// PrometheusLayer measures.
	PrometheusLayer = "prometheus"
	// OpenCostLayer prices what was measured.
	OpenCostLayer = "opencost"
)

const (
	prometheusNamespace = "prometheus-system"
	opencostNamespace   = "opencost"
)

// Prometheus is its service.
var Prometheus = layer.Forward{
	Name: "prometheus", Namespace: prometheusNamespace, Service: "prometheus", Port: 9090, LocalPort: 8085,
}

// OpenCost is its service.
var OpenCost = layer.Forward{
	Name: "cost", Namespace: opencostNamespace, Service: "opencost", Port: 9003, LocalPort: 8086,
}

// Series is the most that one scrape may have: more is refused. A pod has 25 or so.
const Series = 50_000

//go:embed prometheus.yml
var prometheusYAML string

// doorkeeperYAML is what measures it, where there is one.
//
//go:embed doorkeeper.yml
var doorkeeperYAML string

// seldom is how often is measured what takes much to say, at most.
const seldom = time.Minute

// Layers of cost as settings and prices make them, on a volume of a StorageClass, empty
// for the cluster's default; none if it is not enabled. Keys is whether keys are judged,
// so that there is a doorkeeper to measure. They come after all that the first
// prediction waits for, and wait for each other only by asking again.
func Layers(s config.Cost, class string, prices *cost.Prices, keys bool) layer.List {
	if !s.Enabled {
		return nil
	}
	kinds := []schema.GroupKind{
		{Kind: "Namespace"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	}
	return layer.List{
		{
			Name: PrometheusLayer, Namespaces: []string{prometheusNamespace}, Shared: []string{serving.GatewayNamespace}, ClusterKinds: kinds,
			Tree:     layer.Rendered(PrometheusLayer, prometheusPatches(s, class, keys)...),
			After:    []string{serving.RuntimesLayer},
			Forwards: []layer.Forward{Prometheus},
		},
		{
			Name: OpenCostLayer, Namespaces: []string{opencostNamespace}, ClusterKinds: kinds,
			Tree:     layer.Rendered(OpenCostLayer, opencostPatches(s, prices)...),
			After:    []string{serving.RuntimesLayer},
			Forwards: []layer.Forward{OpenCost},
		},
	}
}

// address of a service inside the cluster.
func address(f layer.Forward) string {
	return fmt.Sprintf("%s.%s.svc:%d", f.Service, f.Namespace, f.Port)
}

func prometheusPatches(s config.Cost, class string, keys bool) []render.Patch {
	text := prometheusYAML
	if keys {
		text += doorkeeperYAML
	}
	settings := strings.NewReplacer(
		"@INTERVAL@", s.Interval.String(),
		"@SELDOM@", max(s.Interval, config.Duration(seldom)).String(),
		"@DOORKEEPER@", serving.DoorkeeperNamespace,
		"@OPENCOST@", address(OpenCost),
		"@SERIES@", strconv.Itoa(Series),
		"@GATEWAY@", serving.GatewayNamespace,
	).Replace(text)
	return []render.Patch{
		configMap(prometheusNamespace, "prometheus", map[string]any{"prometheus.yml": settings}),
		{Kind: "PersistentVolumeClaim", Namespace: prometheusNamespace, Name: "prometheus", Merge: map[string]any{
			"spec": manifest.Claim(s.Storage, class),
		}},
		restartedBy(prometheusNamespace, "prometheus", settings, map[string]any{"name": "prometheus", "args": []any{
			"--config.file=/etc/prometheus/config/prometheus.yml",
			"--storage.tsdb.path=/prometheus",
			"--storage.tsdb.retention.time=" + s.Retention.String(),
			// The oldest go before the volume is full.
			fmt.Sprintf("--storage.tsdb.retention.size=%dMB", s.StorageBytes()>>20*3/4),
			"--query.timeout=60s",
			"--query.max-concurrency=8",
		}}),
	}
}

func opencostPatches(s config.Cost, prices *cost.Prices) []render.Patch {
	list := priceList(prices)
	return []render.Patch{
		configMap(opencostNamespace, "prices", map[string]any{"default.json": list}),
		restartedBy(opencostNamespace, "opencost", list, map[string]any{"name": "opencost", "env": []any{
			map[string]any{"name": "PROMETHEUS_SERVER_ENDPOINT", "value": "http://" + address(Prometheus)},
			map[string]any{"name": "ETL_RESOLUTION_SECONDS", "value": strconv.Itoa(seconds(s.Interval))},
		}}),
	}
}

// priceList is prices as OpenCost reads them: texts, for an hour.
func priceList(p *cost.Prices) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	text, err := json.MarshalIndent(map[string]string{
		"provider": "custom", "description": p.Description, "currencyCode": p.Currency,
		"CPU": number(p.CPU.OnDemand), "spotCPU": number(p.CPU.Spot),
		"RAM": number(p.Memory.OnDemand), "spotRAM": number(p.Memory.Spot),
		"GPU": number(p.GPU.OnDemand), "spotGPU": number(p.GPU.Spot),
		"storage":                      number(p.Storage),
		"zoneNetworkEgress":            number(p.Network.Zone),
		"regionNetworkEgress":          number(p.Network.Region),
		"internetNetworkEgress":        number(p.Network.Internet),
		"firstFiveForwardingRulesCost": number(p.LoadBalancer.FirstFiveRules),
		"additionalForwardingRuleCost": number(p.LoadBalancer.AdditionalRule),
		"LBIngressDataCost":            number(p.LoadBalancer.Ingress),
	}, "", "  ")
	if err != nil {
		panic(err) // a map of texts
	}
	return string(text) + "\n"
}

func seconds(d config.Duration) int { return int(d) / 1_000_000_000 }

func configMap(namespace, name string, data map[string]any) render.Patch {
	return render.Patch{Kind: "ConfigMap", Namespace: namespace, Name: name, Merge: map[string]any{"data": data}}
}

// restartedBy patches a Deployment's container, and has other settings make another
// pod: they are read when it starts.
func restartedBy(namespace, name, settings string, container map[string]any) render.Patch {
	return render.Patch{Kind: "Deployment", Namespace: namespace, Name: name, Merge: map[string]any{
		"spec": map[string]any{"template": map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{"neuroscale.dev/settings": manifest.Hash(settings)}},
			"spec":     map[string]any{"containers": []any{container}},
		}},
	}}
}
