package cost

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Headroom is what a tenant's documents leave of its quota.
type Headroom struct {
	Tenant string     `json:"tenant"`
	Rows   []QuotaRow `json:"rows"`
}

// QuotaRow is one resource of a quota, named as a ResourceQuota names it.
type QuotaRow struct {
	Resource string            `json:"resource"`
	Quota    resource.Quantity `json:"quota"`
	// UsedAtMin and UsedAtMax are at the fewest and the most replicas.
	UsedAtMin resource.Quantity `json:"usedAtMin"`
	UsedAtMax resource.Quantity `json:"usedAtMax"`
	// LeftAtMin and LeftAtMax are negative by what is too much.
	LeftAtMin resource.Quantity `json:"leftAtMin"`
	LeftAtMax resource.Quantity `json:"leftAtMax"`
	// Unbounded says that something in UsedAtMax may grow until nothing is left.
	Unbounded bool `json:"unbounded,omitempty"`
}

// Exceeded says in one sentence which quota the documents do not fit into and by
// how much; "" if they fit.
func (h Headroom) Exceeded() string {
	var never, full []string
	for _, r := range h.Rows {
		if r.LeftAtMin.Sign() < 0 {
			q := magnitude(r.LeftAtMin)
			never = append(never, r.Resource+" by "+q.String())
		} else if r.LeftAtMax.Sign() < 0 {
			q := magnitude(r.LeftAtMax)
			full = append(full, r.Resource+" by "+q.String())
		}
	}
	var parts []string
	if len(never) > 0 {
		parts = append(parts, strings.Join(never, ", ")+" even at the fewest replicas")
	}
	if len(full) > 0 {
		parts = append(parts, strings.Join(full, ", ")+" at the most replicas")
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("the quota of tenant %s is exceeded: %s", h.Tenant, strings.Join(parts, "; "))
}

// Exceeded are the sentences of all quotas that the documents do not fit into.
func (d *Delta) Exceeded() []string {
	var out []string
	for _, h := range d.Quotas {
		if s := h.Exceeded(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (c *calculator) quotas(tenants []config.Tenant, before, after map[string][]Usage, documents []Document) ([]Headroom, error) {
	seen := map[string]bool{}
	for _, workloads := range before {
		for _, u := range workloads {
			seen[u.Namespace] = true
		}
	}
	used := map[string][]Usage{}
	for _, workloads := range after {
		for _, u := range workloads {
			seen[u.Namespace] = true
			used[u.Namespace] = append(used[u.Namespace], u)
		}
	}
	out := []Headroom{}
	for _, t := range tenants {
		if !seen[t.Namespace] {
			continue
		}
		h, err := headroom(t, used[t.Namespace], c.count(documents, t.Namespace))
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// objects are how many there are of kinds that a quota counts.
type objects struct{ services, configMaps int64 }

// count is of what documents are in a namespace themselves. Documents are none of
// Lists: those were read before.
func (c *calculator) count(documents []Document, namespace string) objects {
	var n objects
	documents, _ = flatten(documents) // its error was reported by all
	for _, d := range documents {
		root := node{reading: &reading{}, value: d.Object}
		if in := root.at("metadata", "namespace").text(); in != namespace && (in != "" || namespace != c.namespace) {
			continue
		}
		switch d.Object["kind"] {
		case "Service":
			if (object{root: root}).group() != "serving.knative.dev" {
				n.services++
			}
		case "ConfigMap":
			n.configMaps++
		}
	}
	return n
}

// rootCertificates are in a ConfigMap that Kubernetes puts into every namespace.
const rootCertificates = 1

func headroom(t config.Tenant, workloads []Usage, own objects) (Headroom, error) {
	h := Headroom{Tenant: t.Namespace}
	s := sum(workloads)
	for _, part := range []struct {
		name        string
		quota       config.Shares
		least, most Amount
	}{
		{"requests", t.Quota.Requests, s.AtMin.Requests, s.AtMax.Requests},
		{"limits", t.Quota.Limits, s.AtMin.Limits, s.AtMax.Limits},
	} {
		quota, err := written(fmt.Sprintf("quota.%s of tenant %s", part.name, t.Namespace), part.quota)
		if err != nil {
			return h, err
		}
		for _, each := range []struct {
			d      dimension
			suffix string
		}{{cpu, ".cpu"}, {memory, ".memory"}, {disk, ".ephemeral-storage"}} {
			if q := quota[each.d]; q != nil {
				h.add(part.name+each.suffix, *q, *part.least.field(each.d), *part.most.field(each.d), s.Unbounded)
			}
		}
	}
	var deployments, inferenceServices int64
	for _, u := range workloads {
		deployments += u.Deployments
		inferenceServices += u.InferenceServices
		own.services += u.Services
	}
	h.add("pods", quantityOf(int64(t.Quota.Pods)), quantityOf(s.AtMin.Pods), quantityOf(s.AtMax.Pods), s.Unbounded)
	for _, count := range []struct {
		name        string
		quota, used int64
	}{
		{"count/deployments.apps", int64(t.Quota.Deployments), deployments},
		{"count/inferenceservices.serving.kserve.io", int64(t.Quota.InferenceServices), inferenceServices},
		{"services", int64(t.Quota.Services), own.services},
		{"configmaps", int64(t.Quota.ConfigMaps), own.configMaps + rootCertificates},
	} {
		h.add(count.name, quantityOf(count.quota), quantityOf(count.used), quantityOf(count.used), false)
	}
	return h, nil
}

func (h *Headroom) add(name string, quota, least, most resource.Quantity, unbounded bool) {
	left := func(used resource.Quantity) resource.Quantity {
		q := quota.DeepCopy()
		q.Sub(used)
		if q.IsZero() {
			return resource.Quantity{Format: quota.Format}
		}
		return q
	}
	h.Rows = append(h.Rows, QuotaRow{
		Resource: name, Quota: quota, UsedAtMin: least, UsedAtMax: most,
		LeftAtMin: left(least), LeftAtMax: left(most), Unbounded: unbounded,
	})
}
