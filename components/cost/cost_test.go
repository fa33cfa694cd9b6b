package cost

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/dashboards"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func defaultPrices(t *testing.T) *cost.Prices {
	t.Helper()
	p, err := cost.DefaultPrices()
	require.NoError(t, err)
	return p
}

// earlier is what the layers come after.
var earlier = layer.Definition{
	Name: "kserve-runtimes", Namespaces: []string{"kserve"},
	Tree: layer.Rendered("kserve-runtimes"),
}

func build(t *testing.T, s config.Cost) *recorder.Recording {
	t.Helper()
	return recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		d, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{
				URL: "https://forge/platform.git", Authority: pulumi.String("the authority").ToStringOutput(),
				Writer: forge.Account{Username: "writer", Password: pulumi.String("p").ToStringOutput()},
			},
			GitImage: "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on)
		if err != nil {
			return err
		}
		if _, err := layer.NewGroup(ctx, "before", &layer.GroupArgs{Layers: layer.List{earlier}, Delivery: d}, on); err != nil {
			return err
		}
		_, err = New(ctx, "cost", &Args{Settings: s, Layers: Layers(s, "", defaultPrices(t), true), Delivery: d, ProbeImage: "python:1"}, on)
		return err
	})
}

func TestCostsAreAskedForWhenBothLayersAreThere(t *testing.T) {
	r := build(t, config.Default().Cost)
	r.AssertBelongs(t, "delivery", "before", "cost")
	job := r.Get(t, "Job", "cost-probe-*")
	for _, name := range []string{"prometheus", "opencost"} {
		application := r.Get(t, "Application", name)
		assert.True(t, r.Waits(job, application))
		assert.True(t, r.Waits(application, r.Get(t, "Application", "kserve-runtimes")), "%s takes the processor from the first prediction", name)
	}
	assert.Contains(t, recorder.At(job.Object(), "spec.template.spec.containers.0.env"),
		map[string]any{"name": "OPENCOST", "value": "http://opencost.opencost.svc:9003"})
}

func TestWhoWantsNoCostsHasNothingOfThem(t *testing.T) {
	s := config.Default().Cost
	s.Enabled = false
	assert.Empty(t, Layers(s, "", defaultPrices(t), true))
	r := build(t, s)
	assert.Len(t, r.Kind("Application"), 1)
	assert.Len(t, r.Kind("Job"), 1, "that of the layer before")
}

// objects are what the layers render to, by kind and name.
func objects(t *testing.T, s config.Cost, p *cost.Prices) map[string]map[string]any {
	t.Helper()
	cache, err := rig.Cache()
	require.NoError(t, err)
	renderer, err := render.New(gitops.FS, filepath.Join(cache, "render"))
	require.NoError(t, err)
	out := map[string]map[string]any{}
	for _, d := range Layers(s, "fast", p, true) {
		tree, err := d.Tree(t.Context(), layer.Source{Renderer: renderer})
		require.NoError(t, err)
		for _, o := range tree.Objects() {
			out[o["kind"].(string)+" "+recorder.At(o, "metadata.name").(string)] = o
		}
	}
	return out
}

func container(o map[string]any) map[string]any {
	return recorder.At(o, "spec.template.spec.containers.0").(map[string]any)
}

func TestTheDoorkeeperIsMeasuredWhereThereIsOne(t *testing.T) {
	settings := func(keys bool) string {
		return fmt.Sprint(prometheusPatches(config.Default().Cost, "", keys)[0].Merge)
	}
	assert.Contains(t, settings(true), "job_name: doorkeeper")
	assert.NotContains(t, settings(false), "doorkeeper", "a namespace that is not there cannot be looked at")
}

func TestSettingsReachTheRenderedLayers(t *testing.T) {
	s := config.Cost{Enabled: true, Retention: config.Duration(7 * 24 * time.Hour), Storage: "4Gi", Interval: config.Duration(15 * time.Second)}
	all := objects(t, s, defaultPrices(t))
	args := container(all["Deployment prometheus"])["args"].([]any)
	assert.Contains(t, args, "--storage.tsdb.retention.time=7d")
	assert.Contains(t, args, "--storage.tsdb.retention.size=3072MB", "a volume that is full keeps nothing more")
	assert.Equal(t, "4Gi", recorder.At(all["PersistentVolumeClaim prometheus"], "spec.resources.requests.storage"))
	assert.Equal(t, "fast", recorder.At(all["PersistentVolumeClaim prometheus"], "spec.storageClassName"))
	settings := recorder.At(all["ConfigMap prometheus"], "data").(map[string]any)["prometheus.yml"].(string)
	assert.Contains(t, settings, "scrape_interval: 15s")
	assert.NotContains(t, settings, "@", "a placeholder that nothing was put in place of")
	env := container(all["Deployment opencost"])["env"]
	assert.Contains(t, env, map[string]any{"name": "ETL_RESOLUTION_SECONDS", "value": "15"})
	assert.Contains(t, env, map[string]any{"name": "PROMETHEUS_SERVER_ENDPOINT", "value": "http://prometheus.prometheus-system.svc:9090"})
}

// askProbe runs the script against an OpenCost that answers so, in turn.
func askProbe(t *testing.T, answers ...string) (output string, err error) {
	t.Helper()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[min(asked, len(answers)-1)]
		asked++
		assert.Equal(t, "/allocation/summary", r.URL.Path)
		assert.Equal(t, "namespace", r.URL.Query().Get("aggregate"))
		if code, err := strconv.Atoi(answer); err == nil {
			w.WriteHeader(code)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	cmd := exec.CommandContext(t.Context(), "python3", "allocation.py")
	cmd.Env = append(os.Environ(), "OPENCOST="+server.URL, "NAMESPACE=opencost", "INTERVAL=30", "SECONDS=3", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheProbeWaitsUntilSomethingCosts(t *testing.T) {
	const none = `{"code":200,"data":{"sets":[{"allocations":{}}]}}`
	priced := func(cpu string) string {
		return `{"code":200,"data":{"sets":[{"allocations":{"opencost":{"cpuCost":` + cpu + `,"ramCost":null}}}]}}`
	}
	out, err := askProbe(t, "503", none, priced("0.0002"))
	require.NoError(t, err, out)
	assert.Contains(t, out, "503")
	assert.Contains(t, out, "namespace opencost has cost 0.000200000")
	for name, answer := range map[string]string{
		"an error": "500", "nothing": none, "no sets": `{"code":200,"data":null}`, "a cost of nothing": priced("0"), "no JSON": "<html>",
	} {
		out, err := askProbe(t, answer)
		require.Error(t, err, name)
		assert.Contains(t, out, "OpenCost has no cost of namespace opencost", name)
	}
}

func TestEachFindsTheOthersService(t *testing.T) {
	all := objects(t, config.Default().Cost, defaultPrices(t))
	for name, f := range map[string]layer.Forward{"Service prometheus": Prometheus, "Service opencost": OpenCost} {
		assert.Equal(t, f.Service, recorder.At(all[name], "metadata.name"))
		assert.Equal(t, f.Namespace, recorder.At(all[name], "metadata.namespace"))
		assert.EqualValues(t, f.Port, recorder.At(all[name], "spec.ports.0.port"))
	}
}

func TestOpenCostHasThePricesOfTheGuard(t *testing.T) {
	p := *defaultPrices(t)
	p.CPU.OnDemand, p.Storage, p.Currency = 0.25, 0.00000012, "EUR"
	before := objects(t, config.Default().Cost, defaultPrices(t))
	after := objects(t, config.Default().Cost, &p)
	var list map[string]string
	require.NoError(t, json.Unmarshal([]byte(recorder.At(after["ConfigMap prices"], "data").(map[string]any)["default.json"].(string)), &list))
	assert.Equal(t, "0.25", list["CPU"])
	assert.Equal(t, "0.00000012", list["storage"], "an exponent would be read as no number")
	assert.Equal(t, "EUR", list["currencyCode"])
	assert.Len(t, list, 16)
	for name, value := range list {
		assert.NotEmpty(t, value, name)
	}
	annotation := func(all map[string]map[string]any) any {
		return recorder.At(all["Deployment opencost"], "spec.template.metadata.annotations").(map[string]any)["neuroscale.dev/settings"]
	}
	assert.NotEqual(t, annotation(before), annotation(after), "prices are read when it starts")
}

func TestNobodyHasMoreRightsThanItsWork(t *testing.T) {
	all := objects(t, config.Default().Cost, defaultPrices(t))
	for name, o := range all {
		kind, _, _ := strings.Cut(name, " ")
		if kind != "ClusterRole" && kind != "Role" {
			continue
		}
		for _, rule := range o["rules"].([]any) {
			for _, verb := range recorder.At(rule, "verbs").([]any) {
				assert.Contains(t, []any{"get", "list", "watch"}, verb, name)
			}
			if paths := recorder.At(rule, "nonResourceURLs"); paths != nil {
				assert.Equal(t, []any{"/metrics"}, paths, name)
				assert.Equal(t, []any{"get"}, recorder.At(rule, "verbs"), name)
				continue
			}
			resources := recorder.At(rule, "resources").([]any)
			assert.False(t, slices.ContainsFunc(resources, func(r any) bool {
				return slices.Contains([]string{"secrets", "nodes/proxy", "pods/exec", "pods/log", "*"}, r.(string))
			}), "%s: %v", name, resources)
		}
	}
	assert.Nil(t, all["ClusterRole neuroscale-prometheus"]["aggregationRule"])
}

func TestTheirPodsAreRestricted(t *testing.T) {
	all := objects(t, config.Default().Cost, defaultPrices(t))
	for _, name := range []string{"prometheus", "opencost"} {
		d := all["Deployment "+name]
		assert.Equal(t, true, recorder.At(d, "spec.template.spec.securityContext.runAsNonRoot"))
		c := container(d)
		assert.Equal(t, map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		}, c["securityContext"])
		assert.NotNil(t, recorder.At(c, "resources.limits.memory"), "one that grows takes the node with it")
	}
	for _, name := range []string{prometheusNamespace, opencostNamespace} {
		labels := recorder.At(all["Namespace "+name], "metadata.labels").(map[string]any)
		assert.Equal(t, "restricted", labels["pod-security.kubernetes.io/enforce"])
	}
}

func TestEveryScrapeHasALimit(t *testing.T) {
	all := objects(t, config.Default().Cost, defaultPrices(t))
	var settings struct {
		ScrapeConfigs []struct {
			Job    string `json:"job_name"`
			Sample int    `json:"sample_limit"`
			Body   string `json:"body_size_limit"`
		} `json:"scrape_configs"`
	}
	text := recorder.At(all["ConfigMap prometheus"], "data").(map[string]any)["prometheus.yml"].(string)
	require.NoError(t, yaml.Unmarshal([]byte(text), &settings))
	require.NotEmpty(t, settings.ScrapeConfigs)
	for _, c := range settings.ScrapeConfigs {
		assert.Positive(t, c.Sample, c.Job)
		assert.NotEmpty(t, c.Body, c.Job)
	}
}

// Whoever answers a scrape makes series, and a tenant may have pods answer anything.
func TestNoPodOfATenantIsAsked(t *testing.T) {
	var settings struct {
		Configs []struct {
			Job    string                       `json:"job_name"`
			Static []struct{ Targets []string } `json:"static_configs"`
			Kube   []struct {
				Role       string
				Namespaces struct{ Names []string }
			} `json:"kubernetes_sd_configs"`
		} `json:"scrape_configs"`
	}
	text := recorder.At(objects(t, config.Default().Cost, defaultPrices(t))["ConfigMap prometheus"], "data").(map[string]any)["prometheus.yml"].(string)
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &map[string]any{}))
	require.NoError(t, yaml.Unmarshal([]byte(text), &settings))
	own := []string{"argocd", "guard", "dashboards", "opencost", "doorkeeper", "kourier-system"}
	for _, c := range settings.Configs {
		assert.NotEmpty(t, len(c.Static)+len(c.Kube), "%s asks nobody", c.Job)
		for _, k := range c.Kube {
			if k.Role == "node" {
				continue
			}
			require.NotEmpty(t, k.Namespaces.Names, "%s asks whoever says so, in every namespace", c.Job)
			for _, name := range k.Namespaces.Names {
				assert.Contains(t, own, name, c.Job)
			}
		}
		for _, s := range c.Static {
			for _, target := range s.Targets {
				if target == "localhost:9090" || target == "kubernetes.default.svc:443" {
					continue
				}
				parts := strings.Split(target, ".")
				require.Len(t, parts, 3, target)
				assert.Contains(t, own, parts[1], c.Job)
			}
		}
	}
	assert.NotContains(t, text, "__meta_kubernetes_pod_annotation", "a pod's annotations are its maker's")
}

// rules are those of the layer, and the file that tests them, in one folder.
func rules(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	data := recorder.At(find(t, objects(t, config.Default().Cost, defaultPrices(t)), "ConfigMap rules-"), "data").(map[string]any)
	for name, text := range data {
		files = append(files, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text.(string)), 0o600))
	}
	test, err := os.ReadFile(filepath.Join("testdata", "rules_test.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules_test.yaml"), test, 0o600))
	return dir, files
}

// find is the object whose kind and name begin so.
func find(t *testing.T, all map[string]map[string]any, prefix string) map[string]any {
	t.Helper()
	for name, o := range all {
		if strings.HasPrefix(name, prefix) {
			return o
		}
	}
	require.Fail(t, "there is no "+prefix)
	return nil
}

func TestRulesMakeOfMeasurementsWhatTheySay(t *testing.T) {
	promtool := rig.Promtool(t)
	dir, files := rules(t)
	for _, args := range [][]string{append([]string{"check", "rules"}, files...), {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// alerts are the names of all of them.
func alerts(t *testing.T) []string {
	t.Helper()
	dir, _ := rules(t)
	text, err := os.ReadFile(filepath.Join(dir, "alerts.yaml"))
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	var names []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
		}
	}
	require.NotEmpty(t, names)
	return names
}

func TestEveryAlertIsTestedAndHasAnEntryInTheRunbook(t *testing.T) {
	dir, _ := rules(t)
	test, err := os.ReadFile(filepath.Join(dir, "rules_test.yaml"))
	require.NoError(t, err)
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	require.NoError(t, err)
	for _, name := range alerts(t) {
		assert.Contains(t, string(test), "alertname: "+name+"\n", "nothing shows that it fires")
		assert.Contains(t, string(runbook), "- `"+name+"`: ", "who is woken up by it does not know what to do")
	}
}

func TestBadArgs(t *testing.T) {
	refusal := func(args *Args) string {
		return recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "cost", args)
			return err
		})
	}
	assert.Equal(t, "cost: no Args", refusal(nil))
	assert.Equal(t, strings.Join([]string{
		"cost: Args.Layers are not those of Args.Settings: one is enabled and the other is not",
		"cost: Args.Settings.Interval is 0s",
		"cost: Args.Delivery is missing",
		"cost: Args.ProbeImage is empty",
	}, "\n"), refusal(&Args{Settings: config.Cost{Enabled: true}}))
}

// metrics is the list of what those who are measured say, each with who.
const metrics = "testdata/metrics.txt"

// known are the names of all that is measured or made of it by a rule.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{"up": true, "ALERTS": true}
	text, err := os.ReadFile(metrics)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if name, _, found := strings.Cut(strings.TrimSpace(line), " "); found && name != "#" {
			names[name] = true
		}
	}
	for _, r := range everyRule(t) {
		names[r.Record] = true
	}
	return names
}

type rule struct{ Record, Alert, Expr string }

// everyRule is in the files of rules, in any of them.
func everyRule(t *testing.T) (all []rule) {
	t.Helper()
	dir, files := rules(t)
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		var file struct{ Groups []struct{ Rules []rule } }
		require.NoError(t, yaml.Unmarshal(text, &file))
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// everyBoard is a dashboard of the platform's.
func everyBoard(t *testing.T) []dashboards.Board {
	t.Helper()
	files, err := fs.Sub(gitops.FS, "platform/dashboards/boards")
	require.NoError(t, err)
	boards, err := dashboards.Load(files)
	require.NoError(t, err)
	return boards
}

var (
	// notNames are what of an expression names no metric: what selects labels, what
	// lists them, texts and times.
	notNames = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^]]*\]|\boffset\s+\w+`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	operator = []string{"and", "or", "unless", "bool"}
)

// names of the metrics in an expression.
func names(expr string) (all []string) {
	for _, w := range word.FindAllString(notNames.ReplaceAllString(expr, " "), -1) {
		if name := strings.TrimSpace(w); !strings.HasSuffix(name, "(") && !slices.Contains(operator, name) {
			all = append(all, name)
		}
	}
	return all
}

func TestNamesOfAnExpressionAreItsMetricsOnly(t *testing.T) {
	assert.Equal(t, []string{"a:b", "c", "up", "d_total", "e"}, names(
		`sum by (x, y) ((a:b{z="up(q"} - c offset 5m >= 0) or up and on (job) (rate(d_total[5m]))) / 2^30 > bool max(e)`))
}

// One that was renamed would be an empty plot, and nobody would miss it.
func TestWhatRulesAndDashboardsNameIsMeasured(t *testing.T) {
	there := known(t)
	check := func(where, expr string) {
		found := names(expr)
		assert.NotEmpty(t, found, "%s: %s names nothing", where, expr)
		for _, name := range found {
			assert.True(t, there[name], "%s: nobody measures %s, and no rule makes it (%s has what is measured)", where, name, metrics)
		}
	}
	for _, r := range everyRule(t) {
		check("rule "+r.Record+r.Alert, r.Expr)
	}
	panels := 0
	for _, b := range everyBoard(t) {
		for _, p := range b.Panels {
			panels++
			for _, s := range p.Series {
				check("dashboard "+b.Name+", "+p.Title, s.Expr)
			}
		}
	}
	assert.Greater(t, panels, 10)
}

func TestEveryExpressionOfADashboardIsOne(t *testing.T) {
	promtool := rig.Promtool(t)
	var made []any
	for _, b := range everyBoard(t) {
		for i, p := range b.Panels {
			for j, s := range p.Series {
				made = append(made, map[string]any{"record": fmt.Sprintf("%s:%d:%d", b.Name, i, j), "expr": s.Expr})
			}
		}
	}
	check := func(rules []any) (string, error) {
		text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput()
		return string(out), err
	}
	out, err := check(made)
	require.NoError(t, err, out)
	out, err = check([]any{map[string]any{"record": "a:b", "expr": "sum(up"}})
	require.Error(t, err, "what is no expression is not seen: %s", out)
}
