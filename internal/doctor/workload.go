package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// restartsWhat is what --fix does about a server that does not run.
const restartsWhat = "Starts a pod anew that hangs, and gives a Deployment that is scaled to zero its pod back. What ends by itself stays for somebody to look at."

// below is what keeps any pod from running.
var below = []string{
	platformGone.ID, nodeNotReady.ID, nodeUnderPressure.ID, imageNotPulled.ID, quotaExhausted.ID, namespaceStuck.ID, clusterDNS.ID,
}

// runs looks at workloads of a namespace: whether they are there, have their pods, and
// whether these answer. Must are names of those that have to be there.
func (p *Platform) runs(ctx context.Context, namespace string, take func(name string) bool, must ...string) ([]Finding, error) {
	type workload struct {
		o        unstructured.Unstructured
		resource schema.GroupVersionResource
	}
	var all []workload
	for _, r := range []schema.GroupVersionResource{kube.Deployments, kube.StatefulSets, kube.DaemonSets} {
		list, err := p.list(ctx, r, namespace, "")
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			if take(o.GetName()) {
				all = append(all, workload{o, r})
			}
		}
	}
	var found []Finding
	for _, name := range must {
		if !slices.ContainsFunc(all, func(w workload) bool { return w.o.GetName() == name }) {
			found = append(found, Finding{
				Says: fmt.Sprintf("%s/%s is not there", namespace, name), Object: namespace + "/" + name,
				Saw: "no Deployment, StatefulSet or DaemonSet has that name", Where: namespace,
			})
		}
	}
	if len(all) == 0 {
		return found, nil
	}
	pods, err := p.list(ctx, kube.Pods, namespace, "")
	if err != nil {
		return nil, err
	}
	more, err := each(all, func(w workload) ([]Finding, error) {
		f, err := p.wrongWith(ctx, &w.o, w.resource, podsOf(&w.o, pods))
		if f == nil {
			return nil, err
		}
		return []Finding{*f}, err
	})
	return append(found, more...), err
}

// podsOf are the pods that a workload's selector finds.
func podsOf(o *unstructured.Unstructured, pods []unstructured.Unstructured) []unstructured.Unstructured {
	wanted, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
	return slices.DeleteFunc(slices.Clone(pods), func(pod unstructured.Unstructured) bool {
		for key, value := range wanted {
			if pod.GetLabels()[key] != value {
				return true
			}
		}
		return len(wanted) == 0
	})
}

// wrongWith is what is wrong with a workload; nil if nothing is.
func (p *Platform) wrongWith(ctx context.Context, o *unstructured.Unstructured, r schema.GroupVersionResource, pods []unstructured.Unstructured) (*Finding, error) {
	f := &Finding{Object: nameOf(o), Where: o.GetNamespace()}
	if replicas, counted, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); counted && replicas == 0 {
		f.Says, f.Saw = nameOf(o)+" is scaled to zero", "spec.replicas is 0"
		f.Doing = "give " + nameOf(o) + " its pod back"
		f.Fix = func(ctx context.Context) error {
			return p.patch(ctx, r, o.GetNamespace(), o.GetName(), `{"spec":{"replicas":1}}`)
		}
		return f, nil
	}
	silent, err := p.silent(ctx, pods)
	if len(silent) > 0 {
		names := []string{}
		for _, pod := range silent {
			names = append(names, pod.GetName())
		}
		f.Says = fmt.Sprintf("%s hangs: its pod does not answer", nameOf(o))
		f.Saw = fmt.Sprintf("%s, asked how it is: %s", strings.Join(names, ", "), errSilent)
		f.Doing = "start " + strings.Join(names, ", ") + " anew"
		f.Fix = func(ctx context.Context) error {
			var errs []error
			for _, pod := range silent {
				errs = append(errs, p.remove(ctx, kube.Pods, pod.GetNamespace(), pod.GetName(), 1))
			}
			return errors.Join(errs...)
		}
		return f, nil
	}
	why := kube.NotReady(o)
	if why == "" {
		return nil, err
	}
	f.Says, f.Saw = fmt.Sprintf("%s does not run", nameOf(o)), sentence(why)
	for i := range pods {
		trouble := kube.Trouble(&pods[i])
		if trouble.Why == "" {
			continue
		}
		f.Saw = fmt.Sprintf("pod %s: %s", pods[i].GetName(), sentence(trouble.Why))
		for container, previous := range trouble.Failing {
			f.Says = fmt.Sprintf("%s ends by itself, again and again", nameOf(o))
			if said, err := p.Logs(ctx, o.GetNamespace(), pods[i].GetName(), container, 3, previous); err == nil && said != "" {
				f.Saw += "; its last words: " + sentence(said)
			}
			break
		}
		return f, nil
	}
	if len(pods) == 0 {
		if said, err := p.refusedPods(ctx, o); err == nil && said != "" {
			f.Saw = said
		}
	}
	return f, err
}

// silent are the pods that run and do not answer the question of their probe.
func (p *Platform) silent(ctx context.Context, pods []unstructured.Unstructured) ([]unstructured.Unstructured, error) {
	quiet := make([]bool, len(pods))
	_, err := each(indexes(pods), func(i int) ([]Finding, error) {
		pod := &pods[i]
		if kube.Text(pod.Object, "status", "phase") != "Running" || pod.GetDeletionTimestamp() != nil || !started(pod) {
			return nil, nil
		}
		port, scheme, path, asked := probeOf(pod)
		if !asked {
			return nil, nil
		}
		err := p.knock(ctx, pod.GetNamespace(), pod.GetName(), port, scheme, path)
		quiet[i] = errors.Is(err, errSilent)
		return nil, nil
	})
	var found []unstructured.Unstructured
	for i := range pods {
		if quiet[i] {
			found = append(found, pods[i])
		}
	}
	return found, err
}

func indexes[T any](list []T) []int {
	all := make([]int, len(list))
	for i := range list {
		all[i] = i
	}
	return all
}

// started is whether the containers of a pod are past their start, in which they
// may be silent.
func started(pod *unstructured.Unstructured) bool {
	statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
	for _, item := range statuses {
		m, _ := item.(object)
		if on, there, _ := unstructured.NestedBool(m, "started"); there && !on {
			return false
		}
	}
	return len(statuses) > 0
}

// probeOf is what the kubelet asks the first container of a pod that it asks by HTTP;
// of a pod that it does not ask so, what Prometheus would.
func probeOf(pod *unstructured.Unstructured) (port int, scheme, path string, asked bool) {
	containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
	for _, item := range containers {
		c, _ := item.(object)
		for _, probe := range []string{"livenessProbe", "readinessProbe"} {
			get, there, _ := unstructured.NestedMap(c, probe, "httpGet")
			if !there {
				continue
			}
			switch value := get["port"].(type) {
			case int64:
				port = int(value)
			case string:
				port = portNamed(c, value)
			}
			scheme, path = kube.Text(get, "scheme"), kube.Text(get, "path")
			if scheme == "" {
				scheme = "HTTP"
			}
			if !strings.HasPrefix(path, "/") {
				path = "/" + path
			}
			if port != 0 {
				return port, scheme, path, true
			}
		}
	}
	// Argo CD's ApplicationSet controller has no probe.
	for _, item := range containers {
		c, _ := item.(object)
		if port := portNamed(c, "metrics"); port != 0 {
			return port, "HTTP", "/metrics", true
		}
	}
	return 0, "", "", false
}

func portNamed(container object, name string) int {
	ports, _, _ := unstructured.NestedSlice(container, "ports")
	for _, item := range ports {
		m, _ := item.(object)
		if kube.Text(m, "name") == name {
			n, _, _ := unstructured.NestedInt64(m, "containerPort")
			return int(n)
		}
	}
	return 0
}

// refusedPods is why the newest ReplicaSet of a Deployment got no pod, if it says so.
func (p *Platform) refusedPods(ctx context.Context, o *unstructured.Unstructured) (string, error) {
	sets, err := p.list(ctx, kube.ReplicaSets, o.GetNamespace(), "")
	if err != nil {
		return "", err
	}
	for i := range sets {
		if ownedBy(&sets[i], o.GetUID(), o.GetName()) {
			for _, c := range kube.Conditions(&sets[i]) {
				if c.Type == "ReplicaFailure" && c.Holds {
					return fmt.Sprintf("%s gets no pod: %s", nameOf(&sets[i]), sentence(c.Message)), nil
				}
			}
		}
	}
	return "", nil
}

func ownedBy(o *unstructured.Unstructured, uid types.UID, name string) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID == uid && owner.Name == name })
}
