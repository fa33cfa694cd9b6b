package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// undelivered is why a layer is not there that only the settings name.
const undelivered = "the settings name it and the stack has not delivered it"

// fromGit is a layer as its Application, nil if there is none, says.
func (w Wanted) fromGit(app *unstructured.Unstructured) Layer {
	l := Layer{Name: w.Name, Version: w.Version, Wanted: w.Hash}
	if app == nil {
		l.Why = "its Application is not there"
		if w.Hash == "" {
			l.Why = undelivered
		}
		return l
	}
	asked := kube.Text(app.Object, "spec", "source", "targetRevision")
	l.Synced = kube.Text(app.Object, "status", "sync", "status") == "Synced" &&
		kube.Text(app.Object, "status", "sync", "comparedTo", "source", "targetRevision") == asked
	l.Healthy = kube.Text(app.Object, "status", "health", "status") == "Healthy"
	l.Since = latest(kube.Text(app.Object, "status", "health", "lastTransitionTime"), kube.Text(app.Object, "status", "operationState", "finishedAt"))
	l.Commit = lastSynced(app)
	hash := hashOf(app, w.Name)
	if l.Commit == asked {
		l.Running = hash
	}
	l.Why = kube.NotReady(app)
	switch {
	case l.Why != "":
	case w.Hash == "":
		l.Why = undelivered
	case hash != w.Hash:
		l.Why = fmt.Sprintf("its Application asks for %s, not for %s as the stack does", cmp.Or(hash, "another commit"), w.Hash)
	}
	return l
}

// lastSynced is the commit that Argo CD applied last.
func lastSynced(app *unstructured.Unstructured) string {
	history, _, _ := unstructured.NestedSlice(app.Object, "status", "history")
	if len(history) > 0 {
		m, _ := history[len(history)-1].(map[string]any)
		revision, _ := m["revision"].(string)
		return revision
	}
	return kube.Text(app.Object, "status", "operationState", "syncResult", "revision")
}

// hashOf is the hash in the tag that people call an Application's commit by.
func hashOf(app *unstructured.Unstructured, layer string) string {
	info, _, _ := unstructured.NestedSlice(app.Object, "spec", "info")
	for _, item := range info {
		m, _ := item.(map[string]any)
		if m["name"] == "revision" {
			tag, _ := m["value"].(string)
			hash, _ := strings.CutPrefix(tag, "layer/"+layer+"/")
			return hash
		}
	}
	return ""
}

// byProgram is a layer as its workloads say.
func (w Wanted) byProgram(workloads []unstructured.Unstructured) Layer {
	l := Layer{Name: w.Name, Version: w.Version, Wanted: w.Hash, ByProgram: true, Synced: true}
	if len(workloads) == 0 {
		l.Why = "nothing of it runs in namespace " + w.Namespace
		return l
	}
	var why []string
	for i := range workloads {
		o := &workloads[i]
		if reason := kube.NotReady(o); reason != "" {
			why = append(why, fmt.Sprintf("%s %s: %s", o.GetKind(), o.GetName(), reason))
		}
		for _, c := range kube.Conditions(o) {
			if c.Type == "Available" {
				l.Since = later(l.Since, c.Since)
			}
		}
	}
	slices.Sort(why)
	l.Why, l.Healthy = strings.Join(why, "; "), len(why) == 0
	return l
}

// foldersOf are the tenants' Applications that are not as Git says, but for those
// that only wait for an endpoint that is not ready.
func foldersOf(apps []unstructured.Unstructured, tenants []Share, endpoints []endpoint.Endpoint) []Folder {
	folders := []Folder{}
	for i := range apps {
		app := &apps[i]
		f := Folder{Application: app.GetName(), Tenant: kube.Text(app.Object, "spec", "destination", "namespace"), Why: kube.NotReady(app)}
		if f.Why == "" || !slices.ContainsFunc(tenants, func(s Share) bool { return s.Tenant == f.Tenant }) ||
			app.GetLabels()["neuroscale.dev/layer"] != "" {
			continue
		}
		if kube.Text(app.Object, "status", "sync", "status") == "Synced" && kube.Text(app.Object, "status", "operationState", "phase") == "Succeeded" &&
			waits(app, endpoints) {
			continue
		}
		folders = append(folders, f)
	}
	slices.SortFunc(folders, func(a, b Folder) int { return cmp.Compare(a.Application, b.Application) })
	return folders
}

// waits is whether an Application has an endpoint that is not ready.
func waits(app *unstructured.Unstructured, endpoints []endpoint.Endpoint) bool {
	resources, _, _ := unstructured.NestedSlice(app.Object, "status", "resources")
	return slices.ContainsFunc(resources, func(item any) bool {
		m, _ := item.(map[string]any)
		return m["kind"] == "InferenceService" && slices.ContainsFunc(endpoints, func(e endpoint.Endpoint) bool {
			return !e.Ready && e.Name == m["name"] && e.Tenant == m["namespace"]
		})
	})
}

// use is what a tenant uses of its quota, nil if there is none.
func (s Share) use(quota *unstructured.Unstructured) Tenant {
	t := Tenant{Name: s.Tenant, Quota: []Use{}}
	if quota == nil {
		t.Why = fmt.Sprintf("its ResourceQuota %s is not there", s.Quota)
		return t
	}
	hard, _, _ := unstructured.NestedStringMap(quota.Object, "status", "hard")
	used, _, _ := unstructured.NestedStringMap(quota.Object, "status", "used")
	if len(hard) == 0 {
		t.Why = fmt.Sprintf("its ResourceQuota %s is not counted yet", s.Quota)
	}
	for name, most := range hard {
		t.Quota = append(t.Quota, Use{Resource: name, Used: cmp.Or(used[name], "0"), Hard: most, Percent: percent(used[name], most)})
	}
	slices.SortFunc(t.Quota, func(a, b Use) int { return cmp.Compare(a.Resource, b.Resource) })
	return t
}

func percent(used, hard string) int {
	u, _ := resource.ParseQuantity(cmp.Or(used, "0"))
	h, _ := resource.ParseQuantity(hard)
	switch {
	case u.IsZero():
		return 0
	case h.IsZero():
		return 100
	}
	return int(100 * u.AsApproximateFloat64() / h.AsApproximateFloat64())
}

func nodesOf(list []unstructured.Unstructured) []Node {
	found := []Node{}
	for i := range list {
		n := Node{Name: list[i].GetName(), Pressure: []string{}}
		n.Closed, _, _ = unstructured.NestedBool(list[i].Object, "spec", "unschedulable")
		for _, c := range kube.Conditions(&list[i]) {
			if c.Type == "Ready" {
				n.Ready = c.Holds
			} else if c.Holds {
				n.Pressure = append(n.Pressure, c.Type)
			}
		}
		found = append(found, n)
	}
	slices.SortFunc(found, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

func latest(times ...string) *time.Time {
	var last *time.Time
	for _, t := range times {
		last = later(last, kube.Moment(t))
	}
	return last
}

func later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}
