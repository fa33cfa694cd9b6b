package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

var clusterUnreachable = Detector{
	ID: "cluster-unreachable", First: true, Follows: []string{otherCluster.ID},
	Symptom: "Every command says that the cluster does not answer.",
	Cause:   "The API server does not run, is not reached from here, or does not take the kubeconfig's credentials.",
	ByHand:  "On a sealed machine `bin/sealed status`, then `make up`. Elsewhere see whether `kubectl version` answers with the same kubeconfig. If the cluster is gone for good: `neuroscale destroy --unreachable`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		if p.Cluster == nil {
			return []Finding{{Says: "no cluster is known to look at", Object: "stack " + p.Stack, Saw: "neither its outputs nor the settings name one that can be read"}}, nil
		}
		if err := p.Reachable(ctx); err != nil {
			k := p.Cluster.Kubeconfig
			return []Finding{{Says: fmt.Sprintf("the cluster at %s does not answer", k.Server), Object: "kubeconfig " + k.Source, Saw: sentence(err.Error())}}, nil
		}
		return nil, nil
	},
}

var platformGone = Detector{
	ID:      "platform-gone",
	Symptom: "Nothing of the platform is in the cluster, although the stack says that it is up.",
	Cause:   "Somebody emptied the cluster or made it anew under the same address, or deleted the platform's namespaces.",
	ByHand:  "`neuroscale up` makes everything again; `neuroscale restore FILE` with what people had, from a backup.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		var gone []string
		for _, name := range []string{layer.Namespace, argocd.Namespace, forge.Namespace} {
			o, err := p.get(ctx, kube.Namespaces, "", name)
			if err != nil {
				return nil, err
			}
			if o == nil {
				gone = append(gone, name)
			}
		}
		if len(gone) == 0 {
			return nil, nil
		}
		return []Finding{{
			Says: "what stack " + p.Stack + " has made is no longer in the cluster", Object: "the cluster at " + p.Cluster.Kubeconfig.Server,
			Saw: "it has no namespace " + strings.Join(gone, ", "),
		}}, nil
	},
}

var nodeNotReady = Detector{
	ID:      "node-not-ready",
	Symptom: "Pods stay Pending, or those of one node are being deleted.",
	Cause:   "The node's kubelet does not report, or the node was closed to new pods.",
	ByHand: "See `kubectl describe node NAME`; on a sealed machine `bin/sealed status` and `bin/sealed logs kubelet`. A closed one that should take pods: `kubectl uncordon NAME`. " +
		"The doctor opens none: whoever closed it had a reason.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		list, err := p.list(ctx, kube.Nodes, "", "")
		if err != nil {
			return nil, err
		}
		var found []Finding
		if len(list) == 0 {
			found = append(found, Finding{Says: "the cluster has no node", Object: "the cluster", Saw: "the list of nodes is empty"})
		}
		for i := range list {
			name := list[i].GetName()
			ready, why := false, "it has not said that it is ready"
			for _, c := range kube.Conditions(&list[i]) {
				if c.Type == "Ready" {
					ready, why = c.Holds, cmp.Or(c.Message, why)
				}
			}
			closed, _, _ := unstructured.NestedBool(list[i].Object, "spec", "unschedulable")
			switch {
			case !ready:
				found = append(found, Finding{Says: "node " + name + " is not ready", Object: "Node " + name, Saw: sentence(why)})
			case closed:
				found = append(found, Finding{Says: "node " + name + " takes no new pods", Object: "Node " + name, Saw: "spec.unschedulable is true"})
			}
		}
		return found, nil
	},
}

var nodeUnderPressure = Detector{
	ID: "node-under-pressure", Follows: []string{nodeNotReady.ID},
	Symptom: "Pods are evicted, new ones are not taken; `kubectl get pods -A` shows many that have failed. The alert is `NodeUnderPressure`.",
	Cause:   "The node runs out of disk, memory or process numbers.",
	ByHand: "`kubectl describe node NAME` says of what there is too little, and what was evicted. On a sealed machine images and caches are in `~/.cache/neuroscale`. " +
		"The doctor deletes nothing to make room.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		list, err := p.list(ctx, kube.Nodes, "", "")
		var found []Finding
		for i := range list {
			for _, c := range kube.Conditions(&list[i]) {
				if c.Type != "Ready" && c.Holds {
					found = append(found, Finding{
						Says: fmt.Sprintf("node %s has %s", list[i].GetName(), c.Type), Object: "Node " + list[i].GetName(), Saw: sentence(cmp.Or(c.Message, c.Reason)),
					})
				}
			}
		}
		return found, err
	},
}

const (
	dnsNamespace = "kube-system"
	dnsPods      = "k8s-app=kube-dns"
	dnsPort      = 53
)

var clusterDNS = Detector{
	ID: "cluster-dns", Follows: []string{nodeNotReady.ID, nodeUnderPressure.ID},
	Symptom: "Pods find nothing by name: `no such host`, `i/o timeout`; Applications are Unknown, endpoints answer 503.",
	Cause:   "The cluster's DNS server has no pod, or its pod does not answer.",
	Repair:  "Starts DNS pods anew that do not answer, and gives a Deployment of DNS that is scaled to zero a pod.",
	ByHand:  "`kubectl get pods -n kube-system -l k8s-app=kube-dns`, `kubectl logs -n kube-system -l k8s-app=kube-dns`; `kubectl rollout restart deployment -n kube-system -l k8s-app=kube-dns`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		pods, err := p.list(ctx, kube.Pods, dnsNamespace, dnsPods)
		if err != nil {
			return nil, err
		}
		pods = slices.DeleteFunc(pods, func(o unstructured.Unstructured) bool {
			return kube.Text(o.Object, "status", "phase") != "Running" || o.GetDeletionTimestamp() != nil
		})
		if len(pods) == 0 {
			return p.dnsMissing(ctx)
		}
		return each(pods, func(pod unstructured.Unstructured) ([]Finding, error) {
			err := p.resolves(ctx, pod.GetName())
			if err == nil {
				return nil, nil
			}
			return []Finding{{
				Says: "the cluster's DNS does not answer", Object: nameOf(&pod), Saw: "asked for kubernetes.default.svc: " + sentence(err.Error()),
				Doing: "start " + pod.GetName() + " anew",
				Fix: func(ctx context.Context) error {
					return p.remove(ctx, kube.Pods, pod.GetNamespace(), pod.GetName(), 1)
				},
			}}, nil
		})
	},
}

// dnsMissing is why DNS has no pod that runs.
func (p *Platform) dnsMissing(ctx context.Context) ([]Finding, error) {
	f := Finding{Says: "the cluster's DNS has no pod that runs", Object: "pods " + dnsPods + " in " + dnsNamespace, Saw: "there is none"}
	list, err := p.list(ctx, kube.Deployments, dnsNamespace, "")
	for i := range list {
		o := &list[i]
		replicas, counted, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		if labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels"); labels["k8s-app"] != "kube-dns" {
			continue
		}
		f.Object, f.Saw = nameOf(o), sentence(kube.NotReady(o))
		if counted && replicas == 0 {
			f.Saw, f.Doing = "spec.replicas is 0", "give "+nameOf(o)+" its pod back"
			f.Fix = func(ctx context.Context) error {
				return p.patch(ctx, kube.Deployments, o.GetNamespace(), o.GetName(), `{"spec":{"replicas":1}}`)
			}
		}
	}
	return []Finding{f}, err
}

// resolves asks a pod of the cluster's DNS for a name. That there is none is an
// answer, too.
func (p *Platform) resolves(ctx context.Context, pod string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		r := net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := p.Dial(ctx, dnsNamespace, pod, dnsPort)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}}
		_, err := r.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		asked <- err
	}()
	select {
	case err := <-asked:
		var said *net.DNSError
		if errors.As(err, &said) && said.IsNotFound {
			return nil
		}
		if ctx.Err() != nil || said != nil && said.IsTimeout {
			return errSilent
		}
		return err
	case <-ctx.Done():
		return errSilent
	}
}

var portsTaken = Detector{
	ID: "ports-taken", Follows: []string{platformGone.ID},
	Symptom: "`up` says `provided port is already allocated`; another page answers at an address of the platform's.",
	Cause:   "A Service that is not the platform's has one of its node ports.",
	ByHand:  "Give that Service another port, or the platform: `gitops.nodePort`, `forge.nodePort`, `serving.gateway.nodePort` or `portal.nodePort`, then `neuroscale up`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		list, err := p.list(ctx, kube.Services, "", "")
		ours := map[int64]struct{ namespace, setting string }{
			int64(p.Config.GitOps.NodePort):          {argocd.Namespace, "gitops.nodePort"},
			int64(p.Config.Forge.NodePort):           {forge.Namespace, "forge.nodePort"},
			int64(p.Config.Serving.Gateway.NodePort): {serving.GatewayNamespace, "serving.gateway.nodePort"},
		}
		if p.Config.Portal.Enabled {
			ours[int64(p.Config.Portal.NodePort)] = struct{ namespace, setting string }{portal.Namespace, "portal.nodePort"}
		}
		var found []Finding
		for i := range list {
			ports, _, _ := unstructured.NestedSlice(list[i].Object, "spec", "ports")
			for _, item := range ports {
				m, _ := item.(object)
				port, _, _ := unstructured.NestedInt64(m, "nodePort")
				if own, wanted := ours[port]; wanted && port != 0 && list[i].GetNamespace() != own.namespace {
					found = append(found, Finding{
						Says: fmt.Sprintf("%s has node port %d, which is the platform's (%s)", nameOf(&list[i]), port, own.setting), Object: nameOf(&list[i]),
						Saw: fmt.Sprintf("spec.ports has nodePort %d", port), Reach: []string{own.namespace},
					})
				}
			}
		}
		return found, err
	},
}

// stuckAfter is how long a namespace may take to go.
const stuckAfter = 30 * time.Second

var namespaceStuck = Detector{
	ID:      "namespace-stuck",
	Symptom: "A namespace is Terminating and stays; nothing can be made in it. A `destroy` hangs.",
	Cause:   "An object in it has a finalizer, and whoever takes that off went before it.",
	Repair:  "Lets go of what waits for controllers of Knative, KServe or Argo CD when these are gone, as `destroy` does. Finalizers of others stay: they may guard something outside the cluster.",
	ByHand: "The conditions of `kubectl get namespace NAME -o yaml` name what is left and its finalizers. If its controller runs again it goes by itself; " +
		"if that never will, `kubectl patch KIND NAME -n NAMESPACE --type merge -p '{\"metadata\":{\"finalizers\":null}}'`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		list, err := p.list(ctx, kube.Namespaces, "", "")
		var found []Finding
		for i := range list {
			o := &list[i]
			if o.GetDeletionTimestamp() == nil || time.Since(o.GetDeletionTimestamp().Time) < stuckAfter {
				continue
			}
			var left []string
			for _, c := range kube.Conditions(o) {
				if c.Holds && c.Message != "" {
					left = append(left, sentence(c.Message))
				}
			}
			f := Finding{
				Says:   fmt.Sprintf("namespace %s has been Terminating for %s", o.GetName(), time.Since(o.GetDeletionTimestamp().Time).Round(time.Second)),
				Object: nameOf(o), Saw: cmp.Or(strings.Join(left, "; "), "it does not say what is left"), Where: o.GetName(),
			}
			if held := p.heldIn(f.Saw); len(held) > 0 {
				f.Doing = "let go of what waits for controllers that are gone"
				f.Fix = func(ctx context.Context) error {
					_, err := kube.ReleaseOrphans(ctx, p.Cluster.Dynamic, held, time.Now())
					return err
				}
			}
			found = append(found, f)
		}
		return found, err
	},
}

// heldIn are the kinds of layers, that only their controllers let go of, which a
// namespace says are left.
func (p *Platform) heldIn(left string) []kube.Held {
	var held []kube.Held
	for _, d := range p.layers() {
		kinds := slices.DeleteFunc(slices.Clone(d.Holds), func(r kube.Hold) bool {
			return !strings.Contains(left, r.Resource+"."+r.Group)
		})
		if len(kinds) > 0 {
			held = append(held, kube.Held{Kinds: kinds, Namespace: d.Namespace()})
		}
	}
	return held
}

var imageNotPulled = Detector{
	ID: "image-not-pulled", Follows: []string{nodeNotReady.ID},
	Symptom: "A pod is in ImagePullBackOff or ErrImagePull.",
	Cause:   "The image is not there under that name, or the registry does not answer or wants credentials.",
	ByHand: "`kubectl describe pod NAME -n NAMESPACE` says what the registry answered. On a sealed node an image that is none of its own is not there: `bin/sealed images`. " +
		"Correct the name in Git, or make the image available; the kubelet tries again by itself.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		found := []Finding{}
		for _, namespace := range p.looksAfter() {
			pods, err := p.list(ctx, kube.Pods, namespace, "")
			if err != nil {
				return found, err
			}
			seen := map[string]bool{}
			for i := range pods {
				for image, why := range kube.Trouble(&pods[i]).Unpulled {
					if seen[image] || pods[i].GetDeletionTimestamp() != nil {
						continue
					}
					seen[image] = true
					where := namespace
					if endpoint := pods[i].GetLabels()[endpointLabel]; endpoint != "" {
						where += "/" + endpoint
					}
					found = append(found, Finding{
						Says: fmt.Sprintf("image %s of namespace %s cannot be pulled", image, namespace), Object: nameOf(&pods[i]), Saw: sentence(why), Where: where,
					})
				}
			}
		}
		return found, nil
	},
}

// looksAfter are the namespaces of the platform and its tenants.
func (p *Platform) looksAfter() []string {
	all := slices.Concat(p.layers().Namespaces(), []string{forge.Namespace, layer.Namespace}, p.Config.Namespaces())
	slices.Sort(all)
	return slices.Compact(all)
}

var quotaExhausted = Detector{
	ID:      "quota-exhausted",
	Symptom: "Something gets no pod, or is not made: `exceeded quota`.",
	Cause:   "A ResourceQuota of its namespace is used up.",
	ByHand: "`kubectl describe quota -n NAMESPACE`. Remove or shrink what uses most, which is named above, or give the tenant more: `tenants[].quota`, then `neuroscale up`. " +
		"A quota in a namespace of the platform's is none of its own: `kubectl delete quota NAME -n NAMESPACE`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		list, err := p.list(ctx, kube.Quotas, "", "")
		if err != nil {
			return nil, err
		}
		return each(p.looksAfter(), func(namespace string) ([]Finding, error) {
			if !slices.ContainsFunc(list, func(q unstructured.Unstructured) bool { return q.GetNamespace() == namespace }) {
				return nil, nil
			}
			return p.refusedByQuota(ctx, namespace)
		})
	},
}

// refusedByQuota is what says that a namespace's quota refuses something: a controller
// that gets no pod, or Argo CD, which cannot make what was merged.
func (p *Platform) refusedByQuota(ctx context.Context, namespace string) ([]Finding, error) {
	for _, r := range []schema.GroupVersionResource{kube.ReplicaSets, kube.StatefulSets, kube.Jobs, kube.Applications} {
		within := namespace
		if r == kube.Applications {
			within = argocd.Namespace
		}
		list, err := p.list(ctx, r, within, "")
		if err != nil {
			return nil, err
		}
		for i := range list {
			said := overQuota(&list[i], namespace)
			if said == "" {
				continue
			}
			by, err := p.users(ctx, namespace)
			_, what, _ := strings.Cut(said, "exceeded quota: ")
			return []Finding{{
				Says:   fmt.Sprintf("the quota of namespace %s is exhausted (%s)%s", namespace, sentence(what), by),
				Object: nameOf(&list[i]), Saw: sentence(said), Where: namespace,
			}}, err
		}
	}
	return nil, nil
}

// overQuota is what an object says of a quota of a namespace; empty if it does not, or
// is ready all the same.
func overQuota(o *unstructured.Unstructured, namespace string) string {
	const words = "exceeded quota: "
	said := ""
	if o.GetKind() == "Application" {
		if kube.Text(o.Object, "spec", "destination", "namespace") == namespace {
			said = kube.Text(o.Object, "status", "operationState", "message")
		}
	} else {
		for _, c := range kube.Conditions(o) {
			if c.Holds && strings.Contains(c.Message, words) {
				said = c.Message
			}
		}
	}
	if !strings.Contains(said, words) || kube.NotReady(o) == "" {
		return ""
	}
	return said
}

// users are those whose pods ask for most CPU in a namespace.
func (p *Platform) users(ctx context.Context, namespace string) (string, error) {
	pods, err := p.list(ctx, kube.Pods, namespace, "")
	type use struct {
		who    string
		pods   int
		millis int64
	}
	all := map[string]*use{}
	for i := range pods {
		if phase := kube.Text(pods[i].Object, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
			continue
		}
		who := cmp.Or(pods[i].GetLabels()[endpointLabel], pods[i].GetLabels()["app"], pods[i].GetName())
		if owner := pods[i].GetLabels()["owner"]; owner != "" {
			who += " of " + owner
		}
		if all[who] == nil {
			all[who] = &use{who: who}
		}
		all[who].pods++
		containers, _, _ := unstructured.NestedSlice(pods[i].Object, "spec", "containers")
		for _, item := range containers {
			m, _ := item.(object)
			if q, err := resource.ParseQuantity(cmp.Or(kube.Text(m, "resources", "requests", "cpu"), "0")); err == nil {
				all[who].millis += q.MilliValue()
			}
		}
	}
	var list []*use
	for _, u := range all {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *use) int { return cmp.Or(cmp.Compare(b.millis, a.millis), cmp.Compare(a.who, b.who)) })
	var most []string
	for _, u := range list[:min(3, len(list))] {
		most = append(most, fmt.Sprintf("%s (%d pods, %dm CPU)", u.who, u.pods, u.millis))
	}
	if len(most) == 0 {
		return "; no pod is in it", err
	}
	return "; most is used by " + strings.Join(most, ", "), err
}

var certificateEnding = Detector{
	ID:      "certificate-ending",
	Symptom: "Clients say `certificate has expired`, or `status` says that one ends.",
	Cause:   "Nobody ran `up` within the last days of a certificate, which makes a new one.",
	ByHand:  "`neuroscale up`. An authority of your own: write another one to `tls.authority` first.",
	Look: func(_ context.Context, p *Platform) ([]Finding, error) {
		var found []Finding
		for _, c := range p.Status.Certificates {
			left := time.Until(c.Ends).Round(time.Hour)
			switch {
			case left <= 0:
				found = append(found, Finding{Says: "the certificate of " + c.Name + " has ended", Object: "certificate of " + c.Name, Saw: "it was valid until " + c.Ends.UTC().Format(time.RFC3339)})
			case time.Now().After(c.Renew):
				found = append(found, Finding{
					Says: fmt.Sprintf("the certificate of %s ends in %s: it is time for a new one", c.Name, left), Object: "certificate of " + c.Name,
					Saw: "it is valid until " + c.Ends.UTC().Format(time.RFC3339),
				})
			}
		}
		return found, nil
	},
}
