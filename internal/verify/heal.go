package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// harmless are kinds of which an object may be gone for some seconds: a
// Deployment's pods are left alone, and without a Role somebody sees less.
var harmless = []struct {
	group, kind string
	resource    schema.GroupVersionResource
}{
	{"apps", "Deployment", kube.Deployments},
	{"rbac.authorization.k8s.io", "Role", kube.Roles},
}

func (p *Platform) folderHeals(ctx context.Context) (string, error) {
	apps, err := p.folders(ctx)
	if err != nil {
		return "", err
	}
	for i := range apps {
		if o, found := candidate(&apps[i], "Deployment"); found {
			took, err := p.heals(ctx, &apps[i], o)
			return fmt.Sprintf("%s of folder %s was back and available after %.1fs", o, apps[i].GetName(), took.Seconds()), err
		}
	}
	return "", errors.New("no tenant has merged a Deployment, so there is none to delete: the first content of a repository has one (apps/test-app)")
}

// layersHeal deletes one object of one layer; the others' Applications have to say that
// they would heal. To delete of each would be to sync the whole platform anew.
func (p *Platform) layersHeal(ctx context.Context) (string, error) {
	layers := p.layers().FromGit()
	if len(layers) == 0 {
		return "", errors.New("no layer comes from Git")
	}
	apps := map[string]*unstructured.Unstructured{}
	var errs []error
	for _, d := range layers {
		app, err := p.get(ctx, kube.Applications, argocd.Namespace, d.Name)
		if err == nil && app == nil {
			err = fmt.Errorf("layer %s has no Application", d.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if on, _, _ := unstructured.NestedBool(app.Object, "spec", "syncPolicy", "automated", "selfHeal"); !on {
			errs = append(errs, fmt.Errorf("layer %s would not heal: its Application does not say selfHeal", d.Name))
		}
		apps[d.Name] = app
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	for _, k := range harmless {
		for _, d := range layers {
			if o, found := candidate(apps[d.Name], k.kind); found {
				took, err := p.heals(ctx, apps[d.Name], o)
				return fmt.Sprintf("%s of layer %s was back and ready after %.1fs; all %d layers say selfHeal", o, d.Name, took.Seconds(), len(layers)), err
			}
		}
	}
	return "", errors.New("no layer has an object that may be gone for a moment")
}

// managed is an object that an Application keeps.
type managed struct {
	kind, namespace, name string
	resource              schema.GroupVersionResource
}

func (m managed) String() string { return fmt.Sprintf("%s %s/%s", m.kind, m.namespace, m.name) }

// candidate is the first object of an Application of these kinds.
func candidate(app *unstructured.Unstructured, kinds ...string) (managed, bool) {
	list, _, _ := unstructured.NestedSlice(app.Object, "status", "resources")
	for _, k := range harmless {
		if !slices.Contains(kinds, k.kind) {
			continue
		}
		for _, item := range list {
			m, _ := item.(object)
			if m["group"] == k.group && m["kind"] == k.kind {
				return managed{k.kind, kube.Text(m, "namespace"), kube.Text(m, "name"), k.resource}, true
			}
		}
	}
	return managed{}, false
}

// heals deletes an object and waits until Argo CD has made it again. If it does not,
// it is put back here.
func (p *Platform) heals(ctx context.Context, app *unstructured.Unstructured, m managed) (took time.Duration, err error) {
	before, err := p.get(ctx, m.resource, m.namespace, m.name)
	switch {
	case err != nil:
		return 0, err
	case before == nil:
		return 0, fmt.Errorf("%s is not there", m)
	}
	forget, err := p.keep(ctx, before)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err == nil {
			return
		}
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if left := p.putBack(tidy, m.resource, before); left != nil {
			err = errors.Join(err, left)
			return
		}
		err = errors.Join(err, forget(tidy))
	}()
	api := p.Cluster.Dynamic.Resource(m.resource).Namespace(m.namespace)
	uid, orphan := before.GetUID(), metav1.DeletePropagationOrphan
	if err := api.Delete(ctx, m.name, metav1.DeleteOptions{
		PropagationPolicy: &orphan, Preconditions: &metav1.Preconditions{UID: &uid},
	}); err != nil {
		return 0, fmt.Errorf("delete %s: %w", m, err)
	}
	start := time.Now()
	if err := p.await(ctx, m.String(), func(ctx context.Context) (string, error) {
		now, err := p.get(ctx, m.resource, m.namespace, m.name)
		switch {
		case err != nil:
			return "", err
		case now == nil:
			return "it was deleted and did not come back", nil
		case now.GetUID() == uid:
			return "it is still being deleted", nil
		}
		return kube.NotReady(now), nil
	}); err != nil {
		return 0, err
	}
	took = time.Since(start)
	// Whoever looks next shall see an Application that is well.
	if err := p.await(ctx, "Application "+app.GetName(), func(ctx context.Context) (string, error) {
		now, err := p.get(ctx, kube.Applications, app.GetNamespace(), app.GetName())
		return kube.NotReady(now), err
	}); err != nil {
		return 0, err
	}
	return took, forget(ctx)
}

// kept is the name of the ConfigMaps that hold what runs have deleted for a moment.
const kept = "verify-deleted-"

// keep stores an object for the next run, in case this one is killed.
func (p *Platform) keep(ctx context.Context, o *unstructured.Unstructured) (forget func(context.Context) error, err error) {
	text, err := json.Marshal(bare(o))
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(kept + p.Run + "-" + o.GetKind() + "-" + o.GetNamespace() + "-" + o.GetName())
	api := p.Cluster.Dynamic.Resource(kube.ConfigMaps).Namespace(layer.Namespace)
	_, err = api.Create(ctx, &unstructured.Unstructured{Object: object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": object{"name": name, "namespace": layer.Namespace, "labels": object{label: p.Run}},
		"data":     object{"object": string(text)},
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("keep %s %s before it is deleted: %w", o.GetKind(), o.GetName(), err)
	}
	return func(ctx context.Context) error {
		err := api.Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete ConfigMap %s: %w", name, err)
		}
		return nil
	}, nil
}

// bare is an object as it can be made again.
func bare(o *unstructured.Unstructured) *unstructured.Unstructured {
	o = o.DeepCopy()
	delete(o.Object, "status")
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	return o
}

func (p *Platform) putBack(ctx context.Context, r schema.GroupVersionResource, o *unstructured.Unstructured) error {
	_, err := p.Cluster.Dynamic.Resource(r).Namespace(o.GetNamespace()).Create(ctx, bare(o), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("put %s %s/%s back: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	return nil
}
