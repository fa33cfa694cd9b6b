package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

func (p *Platform) hardening() []check.Check {
	const up = "`neuroscale up` puts back what the configuration says"
	return []check.Check{
		{
			ID: "F1", Title: "every repository is followed", Follows: []string{"A2", "C7"},
			Asks:   "Each repository of each tenant has its ApplicationSet, without an error and with an Application of every folder.",
			Remedy: "see `kubectl describe applicationset -n argocd`; " + up,
			Run:    p.repositoriesAreFollowed,
		},
		{
			ID: "F2", Title: "quotas and limits are in force at the configured figures", Follows: []string{"A3"},
			Asks:   "Every ResourceQuota and LimitRange of the layer tenancy is there with these figures, and counted.",
			Remedy: "see `kubectl describe quota,limitrange -n TENANT`; Argo CD puts back what Git says",
			Run:    p.quotasAreInForce,
		},
		{
			ID: "F3", Title: "more than a tenant may have is refused", Follows: []string{"F2"},
			Asks:   "Offers, dry, to each tenant's namespace a pod above what one container may have, and one above what all may have together.",
			Remedy: "see `kubectl describe quota,limitrange -n TENANT`",
			Run:    p.moreIsRefused,
		},
		{
			ID: "F4", Title: "a root container is refused in every tenant's namespace", Follows: []string{"D2", "D3"},
			Asks:   "Offers a Deployment to each, dry, whose container may run as root: disallow-root-containers refuses it.",
			Remedy: "see `kubectl get namespace TENANT --show-labels`: the policies judge those with the label neuroscale.dev/tenant",
			Run:    p.rootIsRefused,
		},
		{
			ID: "F5", Title: "a tenant's project refuses a foreign namespace and what is not for tenants", Follows: []string{"A2", "A5"}, Alone: true,
			Asks: "Has Argo CD dry-run, in each tenant's project, a ClusterRole, a Role, and a ConfigMap for a namespace of the platform: " +
				"it refuses all three. The Application that is made for it syncs nothing and is deleted.",
			Remedy: "see `kubectl get appproject -n argocd -o yaml`; " + up,
			Run:    p.projectsRefuse,
		},
		{
			ID: "F6", Title: "a tenant's people and pods have no rights outside it, nor to change what Git says",
			Follows: []string{"A3"},
			Asks:    "Asks the API server what each tenant's group and its pods' account may do, here and in every other namespace.",
			Remedy:  "see `kubectl get rolebindings,clusterrolebindings -A -o wide` for who gave them more",
			Run:     p.rightsEnd,
		},
		{
			ID: "F7", Title: "a tenant's pods reach nothing of the platform's or of other tenants'", Alone: true, Limit: 20 * time.Second, Follows: []string{"F2"},
			Asks: "A pod in each tenant's namespace tries every address that serves something, of the platform, the cluster and the other tenants. " +
				"It ends by itself, and Kubernetes deletes it.",
			Remedy: "see `kubectl get networkpolicies -A`; a cluster whose network plugin enforces none lets everybody through",
			Run:    p.networkEnds,
		},
		{
			ID: "F8", Title: "no Secret's value is in Git", Follows: []string{"C7"}, Limit: 15 * time.Second, Apart: true,
			Asks:   "Looks in all that the repositories hold, of every branch, tag and commit, for the random parts of every Secret in the cluster.",
			Remedy: "what is in Git stays there: make it invalid (`neuroscale passwords rotate`, `neuroscale keys revoke`), then take it out",
			Run:    p.secretsStayOut,
		},
	}
}

func (p *Platform) repositoriesAreFollowed(ctx context.Context) (string, error) {
	var names []string
	sources := endpoints.Sources(p.Config.Tenants, p.layers().Names())
	for _, s := range sources {
		names = append(names, s.ApplicationSet)
	}
	err := every(sources, func(s endpoints.Source) error {
		o, err := p.get(ctx, kube.ApplicationSets, argocd.Namespace, s.ApplicationSet)
		if err != nil {
			return err
		}
		if o == nil {
			return fmt.Errorf("ApplicationSet %s, of repository %s, is not there", s.ApplicationSet, s.Repository)
		}
		current := false
		for _, c := range kube.Conditions(o) {
			if c.Type == "ErrorOccurred" && c.Holds {
				return fmt.Errorf("ApplicationSet %s: %s", s.ApplicationSet, c.Message)
			}
			current = current || c.Type == "ResourcesUpToDate" && c.Holds
		}
		if !current {
			return fmt.Errorf("ApplicationSet %s has not made an Application of every folder", s.ApplicationSet)
		}
		return nil
	})
	return strings.Join(names, ", "), err
}

// bounds are the quotas and limits of all tenants as the layer has them.
func (p *Platform) bounds(ctx context.Context) ([]object, error) {
	d, there := p.layers().Get(tenancy.Layer)
	if !there {
		return nil, errors.New("there is no layer " + tenancy.Layer)
	}
	tree, err := d.Tree(ctx, layer.Source{})
	if err != nil {
		return nil, err
	}
	var found []object
	for _, o := range tree.Objects() {
		if o["kind"] == "ResourceQuota" || o["kind"] == "LimitRange" {
			found = append(found, o)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("the layer " + tenancy.Layer + " has neither a quota nor limits")
	}
	return found, nil
}

func (p *Platform) quotasAreInForce(ctx context.Context) (string, error) {
	wanted, err := p.bounds(ctx)
	if err != nil {
		return "", err
	}
	err = every(wanted, func(o object) error {
		want := &unstructured.Unstructured{Object: o}
		r, counted := kube.LimitRanges, false
		if want.GetKind() == "ResourceQuota" {
			r, counted = kube.Quotas, true
		}
		what := fmt.Sprintf("%s %s/%s", want.GetKind(), want.GetNamespace(), want.GetName())
		got, err := p.get(ctx, r, want.GetNamespace(), want.GetName())
		switch {
		case err != nil:
			return err
		case got == nil:
			return fmt.Errorf("%s is not there", what)
		case !sameAmounts(want.Object["spec"], got.Object["spec"]):
			return fmt.Errorf("%s has not the configured figures", what)
		}
		if hard, _, _ := unstructured.NestedMap(want.Object, "spec", "hard"); counted {
			in, _, _ := unstructured.NestedMap(got.Object, "status", "hard")
			if !sameAmounts(hard, in) {
				return fmt.Errorf("%s is not in force with the configured figures", what)
			}
		}
		return nil
	})
	return fmt.Sprintf("%d quotas and limits of %s", len(wanted), count(len(p.Config.Tenants), "tenant")), err
}

// sameAmounts is whether all that wanted has is in got, quantities by what they
// amount to.
func sameAmounts(wanted, got any) bool {
	switch w := wanted.(type) {
	case object:
		g, ok := got.(object)
		for key, value := range w {
			if !ok || !sameAmounts(value, g[key]) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !sameAmounts(w[i], g[i]) {
				return false
			}
		}
		return true
	case string:
		g, _ := got.(string)
		a, errA := resource.ParseQuantity(w)
		b, errB := resource.ParseQuantity(g)
		return w == g || errA == nil && errB == nil && a.Cmp(b) == 0
	}
	return wanted == got
}

// deploymentIn is a good Deployment in a tenant's namespace.
func deploymentIn(t config.Tenant) samples.Sample {
	i := slices.IndexFunc(samples.Good(), func(s samples.Sample) bool { return s.Resource == "deployments" })
	s := samples.Good()[i]
	s.Object["metadata"].(object)["namespace"] = t.Namespace
	return s
}

// podIn is a pod in a tenant's namespace that no policy refuses, of n containers with
// these limits.
func podIn(t config.Tenant, n int, limits object) object {
	template := deploymentIn(t).Object["spec"].(object)["template"].(object)
	spec := template["spec"].(object)
	first := spec["containers"].([]any)[0].(object)
	var containers []any
	for i := range n {
		c := (&unstructured.Unstructured{Object: first}).DeepCopy().Object
		c["name"] = "c" + strconv.Itoa(i)
		c["resources"] = object{"requests": limits, "limits": limits}
		containers = append(containers, c)
	}
	spec["containers"] = containers
	metadata := template["metadata"].(object)
	metadata["name"], metadata["namespace"] = "neuroscale-verify", t.Namespace
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
}

func (p *Platform) moreIsRefused(ctx context.Context) (string, error) {
	err := every(p.Config.Tenants, func(t config.Tenant) error {
		most, err := resource.ParseQuantity(t.Limits.Max.CPU)
		if err != nil {
			return fmt.Errorf("tenant %s: limits.max.cpu: %w", t.Namespace, err)
		}
		all, err := resource.ParseQuantity(t.Quota.Limits.CPU)
		if err != nil {
			return fmt.Errorf("tenant %s: quota.limits.cpu: %w", t.Namespace, err)
		}
		above := most.DeepCopy()
		above.Add(resource.MustParse("1m"))
		n := int(all.MilliValue()/most.MilliValue()) + 1
		for _, each := range []struct {
			what, by string
			pod      object
		}{
			{"a container with a CPU limit of " + above.String(), "maximum cpu usage per Container", podIn(t, 1, object{"cpu": above.String(), "memory": "64Mi"})},
			{fmt.Sprintf("%d containers of %s CPU each", n, most.String()), "exceeded quota", podIn(t, n, object{"cpu": most.String(), "memory": "64Mi"})},
		} {
			refusal, err := p.dryRun(ctx, "pods", each.pod)
			if err != nil {
				return err
			}
			if !strings.Contains(refusal, each.by) {
				return fmt.Errorf("tenant %s: a pod with %s is not refused for that (%s): %s", t.Namespace, each.what, each.by, orAdmitted(refusal))
			}
		}
		return nil
	})
	return count(len(p.Config.Tenants), "tenant") + " asked", err
}

func (p *Platform) rootIsRefused(ctx context.Context) (string, error) {
	const by = "disallow-root-containers"
	err := every(p.Config.Tenants, func(t config.Tenant) error {
		s := deploymentIn(t)
		container := s.Object["spec"].(object)["template"].(object)["spec"].(object)["containers"].([]any)[0].(object)
		container["securityContext"].(object)["runAsNonRoot"] = false
		refusal, err := p.dryRun(ctx, s.Resource, s.Object)
		if err == nil && !refusedBy(refusal, by) {
			err = fmt.Errorf("tenant %s: a Deployment that runs as root is not refused by %s: %s", t.Namespace, by, orAdmitted(refusal))
		}
		return err
	})
	return fmt.Sprintf("%s refuses it in %s", by, strings.Join(p.Config.Namespaces(), ", ")), err
}

// forbidden is what Argo CD has to refuse in a tenant's project, with the words that
// it does so with.
var forbidden = []struct {
	says string
	object
}{
	{"is not permitted in project", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": "neuroscale-verify"}, "rules": []any{},
	}},
	{"is not permitted in project", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": object{"name": "neuroscale-verify"}, "rules": []any{},
	}},
	{"namespace " + layer.Namespace + " is not permitted in project", object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "neuroscale-verify", "namespace": layer.Namespace},
	}},
}

func (p *Platform) projectsRefuse(ctx context.Context) (string, error) {
	err := every(p.Config.Tenants, func(t config.Tenant) error { return p.projectRefuses(ctx, t) })
	return fmt.Sprintf("%d objects refused in each of %s", len(forbidden), count(len(p.Config.Tenants), "project")), err
}

func (p *Platform) projectRefuses(ctx context.Context, t config.Tenant) (err error) {
	project, err := p.get(ctx, schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"}, argocd.Namespace, tenancy.ProjectName(t.Namespace))
	if err != nil || project == nil {
		return errors.Join(fmt.Errorf("project %s is not there", tenancy.ProjectName(t.Namespace)), err)
	}
	repositories, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
	if len(repositories) == 0 {
		return fmt.Errorf("project %s has no repository", project.GetName())
	}
	var manifests []any
	for _, each := range forbidden {
		text, err := (&unstructured.Unstructured{Object: each.object}).MarshalJSON()
		if err != nil {
			return err
		}
		manifests = append(manifests, string(text))
	}
	name := "neuroscale-verify-" + t.Namespace + "-" + p.Run
	api := p.Cluster.Dynamic.Resource(kube.Applications).Namespace(argocd.Namespace)
	app := &unstructured.Unstructured{Object: object{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": object{"name": name, "namespace": argocd.Namespace, "labels": object{label: p.Run}},
		"spec": object{
			"project":     project.GetName(),
			"source":      object{"repoURL": repositories[0], "targetRevision": "main", "path": endpoints.Folder},
			"destination": object{"server": argoproj.LocalCluster, "namespace": t.Namespace},
		},
		"operation": object{
			"initiatedBy": object{"username": "neuroscale-verify"},
			"sync":        object{"dryRun": true, "manifests": manifests},
		},
	}}
	if _, err := api.Create(ctx, app, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make an Application in project %s: %w", project.GetName(), err)
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		err = errors.Join(err, p.remove(tidy, kube.Applications, argocd.Namespace, name))
	}()
	var results []any
	if err := p.await(ctx, "the dry run in project "+project.GetName(), func(ctx context.Context) (string, error) {
		now, err := p.get(ctx, kube.Applications, argocd.Namespace, name)
		if err != nil || now == nil {
			return "its Application is gone", err
		}
		phase := kube.Text(now.Object, "status", "operationState", "phase")
		results, _, _ = unstructured.NestedSlice(now.Object, "status", "operationState", "syncResult", "resources")
		if phase == "" || phase == "Running" || len(results) == 0 {
			return "it has not ended: " + kube.Text(now.Object, "status", "operationState", "message"), nil
		}
		return "", nil
	}); err != nil {
		return err
	}
	var errs []error
	for _, each := range forbidden {
		said := "nothing"
		for _, item := range results {
			if m, _ := item.(object); m["kind"] == each.object["kind"] {
				said = kube.Text(m, "message")
			}
		}
		if !strings.Contains(said, each.says) {
			errs = append(errs, fmt.Errorf("project %s does not refuse a %s: Argo CD says %s", project.GetName(), each.object["kind"], said))
		}
	}
	return errors.Join(errs...)
}

// right is one that somebody has or not.
type right struct{ verb, group, resource, namespace string }

func (r right) String() string {
	where := "in all namespaces"
	if r.namespace != "" {
		where = "in " + r.namespace
	}
	return fmt.Sprintf("%s %s %s", r.verb, r.resource, where)
}

// rightsOf are what a tenant's people have to have, and what neither they nor their
// pods may.
func (p *Platform) rightsOf(t config.Tenant) (has, lacks []right) {
	has = []right{{"get", "", "pods", t.Namespace}, {"list", "serving.kserve.io", "inferenceservices", t.Namespace}}
	lacks = []right{
		{"get", "", "secrets", t.Namespace}, {"create", "", "pods", t.Namespace}, {"create", "", "pods/exec", t.Namespace},
		{"patch", "apps", "deployments", t.Namespace}, {"delete", "serving.kserve.io", "inferenceservices", t.Namespace},
		{"patch", "", "resourcequotas", t.Namespace}, {"create", "rbac.authorization.k8s.io", "rolebindings", t.Namespace},
		{"list", "", "pods", ""}, {"list", "", "secrets", ""}, {"get", "", "nodes", ""}, {"create", "", "namespaces", ""},
		{"impersonate", "", "users", ""}, {"create", "rbac.authorization.k8s.io", "clusterrolebindings", ""},
	}
	others := append(p.layers().Namespaces(), "kube-system")
	for _, other := range p.Config.Tenants {
		if other.Namespace != t.Namespace {
			others = append(others, other.Namespace)
		}
	}
	for _, namespace := range others {
		lacks = append(lacks, right{"get", "", "pods", namespace}, right{"get", "", "secrets", namespace}, right{"create", "", "configmaps", namespace})
	}
	return has, lacks
}

func (p *Platform) rightsEnd(ctx context.Context) (string, error) {
	var lock sync.Mutex
	asked := 0
	err := every(p.Config.Tenants, func(t config.Tenant) error {
		has, lacks := p.rightsOf(t)
		people := object{"user": "neuroscale-verify", "groups": []any{tenancy.Group(t.Namespace), "system:authenticated"}}
		pods := object{
			"user":   "system:serviceaccount:" + t.Namespace + ":default",
			"groups": []any{"system:serviceaccounts", "system:serviceaccounts:" + t.Namespace, "system:authenticated"},
		}
		var all []func() error
		ask := func(who string, subject object, r right, want bool) {
			all = append(all, func() error {
				may, err := p.may(ctx, subject, r)
				if err == nil && may != want {
					err = fmt.Errorf("%s of tenant %s: may they %s: %t, and it should be %t", who, t.Namespace, r, may, want)
				}
				return err
			})
		}
		for _, r := range has {
			ask("the people", people, r, true)
		}
		for _, r := range lacks {
			ask("the people", people, r, false)
			ask("the pods", pods, r, false)
		}
		lock.Lock()
		asked += len(all)
		lock.Unlock()
		return every(all, func(f func() error) error { return f() })
	})
	return fmt.Sprintf("%d rights of %s asked for", asked, count(len(p.Config.Tenants), "tenant")), err
}

// may asks the API server whether somebody has a right.
func (p *Platform) may(ctx context.Context, subject object, r right) (bool, error) {
	name, sub, _ := strings.Cut(r.resource, "/")
	attributes := object{"verb": r.verb, "group": r.group, "resource": name, "namespace": r.namespace}
	if sub != "" {
		attributes["subresource"] = sub
	}
	spec := object{"resourceAttributes": attributes}
	for key, value := range subject {
		spec[key] = value
	}
	answer, err := p.Cluster.Dynamic.Resource(kube.AccessReviews).Create(ctx, &unstructured.Unstructured{Object: object{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether somebody may %s: %w", r, err)
	}
	allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, nil
}
