package verify

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

//go:embed network.py
var networkScript string

// maxTargets is how many addresses a pod tries.
const maxTargets = 300

const (
	kubeletPort = 10250
	dnsPort     = 53
	systemSpace = "kube-system"
	dnsService  = "kube-dns"
)

// target is an address, and what listens there.
type target struct {
	name, namespace, service string
	address                  netip.AddrPort
}

func (p *Platform) networkEnds(ctx context.Context) (string, error) {
	enforced, err := kube.LastWords(ctx, p.Cluster.Dynamic, layer.Namespace, tenancy.EnforcementPods)
	if err != nil {
		return "", err
	}
	if enforced == tenancy.NotEnforced && !p.Config.Cluster.RequireNetworkPolicy {
		return "", check.Off("this cluster enforces no NetworkPolicies, and neuroscale:cluster.requireNetworkPolicy is not set")
	}
	all, err := p.targets(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(t target) bool { return t.dns() })
	if i < 0 {
		return "", errors.New("cluster DNS has no address")
	}
	control := all[i]
	var lock sync.Mutex
	var seen []string
	err = every(p.Config.Tenants, func(t config.Tenant) error {
		var closed []target
		for _, each := range all {
			if !p.open(t, each) {
				closed = append(closed, each)
			}
		}
		closed = closed[:min(len(closed), maxTargets)]
		evidence, err := p.tryAll(ctx, t, control, closed)
		lock.Lock()
		defer lock.Unlock()
		seen = append(seen, evidence)
		return err
	})
	slices.Sort(seen)
	return strings.Join(seen, "; "), err
}

func (t target) dns() bool {
	return t.namespace == systemSpace && t.service == dnsService && t.address.Port() == dnsPort
}

// targets are the addresses behind every Service of the platform, the tenants and the
// cluster itself, and every node's kubelet.
func (p *Platform) targets(ctx context.Context) ([]target, error) {
	ours := slices.Concat(p.layers().Namespaces(), p.Config.Namespaces(), []string{forge.Namespace, layer.Namespace, systemSpace, metav1.NamespaceDefault})
	slicesThere, err := p.list(ctx, kube.EndpointSlices, "", "")
	if err != nil {
		return nil, err
	}
	found := map[string]target{}
	for i := range slicesThere {
		o := &slicesThere[i]
		service := o.GetLabels()["kubernetes.io/service-name"]
		if !slices.Contains(ours, o.GetNamespace()) {
			continue
		}
		ports, _, _ := unstructured.NestedSlice(o.Object, "ports")
		list, _, _ := unstructured.NestedSlice(o.Object, "endpoints")
		for _, item := range ports {
			port, _ := item.(object)
			number, _ := port["port"].(int64)
			if port["protocol"] != "TCP" {
				continue
			}
			for _, each := range list {
				e, _ := each.(object)
				addresses, _, _ := unstructured.NestedStringSlice(e, "addresses")
				for _, a := range addresses {
					if at, err := netip.ParseAddr(a); err == nil {
						name := fmt.Sprintf("%s/%s:%d", o.GetNamespace(), service, number)
						found[name+"@"+a] = target{name, o.GetNamespace(), service, netip.AddrPortFrom(at, uint16(number))}
					}
				}
			}
		}
	}
	there, err := p.list(ctx, kube.Nodes, "", "")
	if err != nil {
		return nil, err
	}
	for i := range there {
		addresses, _, _ := unstructured.NestedSlice(there[i].Object, "status", "addresses")
		for _, item := range addresses {
			m, _ := item.(object)
			if at, err := netip.ParseAddr(kube.Text(m, "address")); err == nil && m["type"] == "InternalIP" {
				name := "kubelet-of-" + there[i].GetName()
				found[name] = target{name: name, address: netip.AddrPortFrom(at, kubeletPort)}
			}
		}
	}
	all := make([]target, 0, len(found))
	for _, t := range found {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.name+a.address.String(), b.name+b.address.String()) })
	return all, nil
}

// open is whether a tenant's pods may reach a target: their own, the gateway's ports
// for requests from inside the cluster, cluster DNS, and where the configuration lets
// them go.
func (p *Platform) open(t config.Tenant, to target) bool {
	if to.namespace == t.Namespace && to.service != "kubernetes" || to.dns() {
		return true
	}
	if to.namespace == serving.GatewayNamespace && slices.Contains(tenancy.GatewayPorts(), int(to.address.Port())) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(p.Config.Serving.ModelStores, t.Egress), func(e config.Egress) bool {
		return slices.Contains(e.Ports, int(to.address.Port())) && within(e.CIDR, to.address.Addr()) &&
			!slices.ContainsFunc(e.Except(), func(cidr string) bool { return within(cidr, to.address.Addr()) })
	})
}

func within(cidr string, a netip.Addr) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Contains(a)
}

// tryAll has a pod of the tenant's try the targets, of which none may answer, and
// cluster DNS, which has to.
func (p *Platform) tryAll(ctx context.Context, t config.Tenant, control target, closed []target) (evidence string, err error) {
	if len(closed) == 0 {
		return "", fmt.Errorf("tenant %s: there is nothing to try", t.Namespace)
	}
	name := "neuroscale-verify-" + p.Run
	api := p.Cluster.Dynamic.Resource(kube.Jobs).Namespace(t.Namespace)
	if _, err := api.Create(ctx, p.networkJob(t, name, control, closed), metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("tenant %s: make a pod that tries: %w", t.Namespace, err)
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		err = errors.Join(err, p.remove(tidy, kube.Jobs, t.Namespace, name))
	}()
	var said string
	if err := p.await(ctx, "the pod that tries in tenant "+t.Namespace, func(ctx context.Context) (string, error) {
		var err error
		if said, err = kube.LastWords(ctx, p.Cluster.Dynamic, t.Namespace, label+"="+p.Run); said != "" || err != nil {
			return "", err
		}
		return p.whyNoPod(ctx, t.Namespace, name)
	}); err != nil {
		return "", err
	}
	var verdict struct {
		Control        bool
		Tried          int
		Reached, Early []string
		ClosedAfter    float64
	}
	if err := json.Unmarshal([]byte(said), &verdict); err != nil {
		return "", fmt.Errorf("tenant %s: the pod that tried says %.200s", t.Namespace, said)
	}
	switch {
	case len(verdict.Reached) > 0:
		return "", fmt.Errorf("a pod of tenant %s reaches %s", t.Namespace, strings.Join(verdict.Reached, ", "))
	case !verdict.Control:
		return "", fmt.Errorf("a pod of tenant %s does not even reach cluster DNS, so that nothing is shown", t.Namespace)
	case verdict.Tried != len(closed):
		return "", fmt.Errorf("tenant %s: %d addresses tried, not %d", t.Namespace, verdict.Tried, len(closed))
	}
	evidence = fmt.Sprintf("a pod of tenant %s reaches none of %d addresses, but cluster DNS", t.Namespace, len(closed))
	if len(verdict.Early) > 0 {
		evidence += fmt.Sprintf(" (when it was new, for %.1fs, it reached %s)", verdict.ClosedAfter, strings.Join(verdict.Early, ", "))
	}
	return evidence, nil
}

// whyNoPod is what a Job without an answer waits for.
func (p *Platform) whyNoPod(ctx context.Context, namespace, name string) (string, error) {
	pods, err := p.list(ctx, kube.Pods, namespace, label+"="+p.Run)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		events, err := p.list(ctx, kube.Nodes.GroupVersion().WithResource("events"), namespace, "")
		for i := range events {
			if kube.Text(events[i].Object, "involvedObject", "name") == name && events[i].Object["type"] == "Warning" {
				return kube.Text(events[i].Object, "message"), err
			}
		}
		return "it is not there yet", err
	}
	return "it has not ended: " + kube.NotReady(&pods[0]), nil
}

func (p *Platform) networkJob(t config.Tenant, name string, control target, closed []target) *unstructured.Unstructured {
	var list []string
	for _, each := range closed {
		list = append(list, each.name+"="+each.address.String())
	}
	labels := object{label: p.Run, "owner": t.Owner, "cost-center": t.CostCenter}
	return &unstructured.Unstructured{Object: object{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": object{"name": name, "namespace": t.Namespace, "labels": labels},
		"spec": object{
			// Kubernetes ends and deletes it, whatever becomes of who made it.
			"activeDeadlineSeconds": int64(25), "ttlSecondsAfterFinished": int64(30), "backoffLimit": int64(0),
			"template": object{
				"metadata": object{"labels": labels},
				"spec": object{
					"restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
					"securityContext": object{"runAsNonRoot": true, "runAsUser": int64(1000), "seccompProfile": object{"type": "RuntimeDefault"}},
					"containers": []any{object{
						"name": "try", "image": p.PythonImage, "command": []any{"python3", "-c", networkScript},
						"env": []any{
							object{"name": "TARGETS", "value": strings.Join(list, " ")},
							object{"name": "CONTROL", "value": control.address.String()},
							object{"name": "VERDICT", "value": "/dev/termination-log"},
							object{"name": "SECONDS", "value": "8"},
						},
						"securityContext": object{
							"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []any{"ALL"}},
						},
						"resources": object{
							"requests": object{"cpu": "10m", "memory": "32Mi"}, "limits": object{"cpu": "500m", "memory": "128Mi"},
						},
					}},
				},
			},
		},
	}}
}
