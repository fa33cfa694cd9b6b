package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// leftAfter is how old what a run made must be for nobody to need it any more.
const leftAfter = 2 * Whole

// folderPrefix begins the names of the folders that runs clone into.
const folderPrefix = "neuroscale-verify-"

// Tidy puts back and removes what runs have left that were killed, and says what.
func (p *Platform) Tidy(ctx context.Context, now time.Time) ([]string, error) {
	var done []string
	var errs []error
	old := func(o *unstructured.Unstructured) bool { return now.Sub(o.GetCreationTimestamp().Time) > leftAfter }
	deleted, err := p.list(ctx, kube.ConfigMaps, layer.Namespace, label)
	errs = append(errs, err)
	for i := range deleted {
		if !old(&deleted[i]) {
			continue
		}
		o, err := p.restore(ctx, &deleted[i])
		errs = append(errs, err)
		if err == nil {
			done = append(done, fmt.Sprintf("%s %s/%s, which was deleted to see it come back", o.GetKind(), o.GetNamespace(), o.GetName()))
		}
	}
	for _, left := range []struct {
		resource   schema.GroupVersionResource
		namespaces []string
	}{{kube.Applications, []string{argocd.Namespace}}, {kube.Jobs, p.Config.Namespaces()}} {
		for _, namespace := range left.namespaces {
			found, err := p.list(ctx, left.resource, namespace, label)
			errs = append(errs, err)
			for i := range found {
				if !old(&found[i]) {
					continue
				}
				err := p.remove(ctx, left.resource, namespace, found[i].GetName())
				errs = append(errs, err)
				done = append(done, fmt.Sprintf("%s %s/%s", found[i].GetKind(), namespace, found[i].GetName()))
			}
		}
	}
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	errs = append(errs, err)
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && now.Sub(info.ModTime()) > leftAfter {
			errs = append(errs, os.RemoveAll(folder))
			done = append(done, "folder "+folder)
		}
	}
	return done, errors.Join(errs...)
}

// restore makes an object again that a run deleted, if nobody has.
func (p *Platform) restore(ctx context.Context, from *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(kube.Text(from.Object, "data", "object")), &o.Object); err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s holds no object: %w", from.GetNamespace(), from.GetName(), err)
	}
	i := slices.IndexFunc(harmless, func(k struct {
		group, kind string
		resource    schema.GroupVersionResource
	}) bool {
		return k.kind == o.GetKind()
	})
	if i < 0 || !strings.HasPrefix(from.GetName(), kept) {
		return nil, fmt.Errorf("ConfigMap %s/%s holds a %s, which no run deletes", from.GetNamespace(), from.GetName(), o.GetKind())
	}
	if err := p.putBack(ctx, harmless[i].resource, o); err != nil {
		return nil, err
	}
	return o, p.remove(ctx, kube.ConfigMaps, from.GetNamespace(), from.GetName())
}

func (p *Platform) remove(ctx context.Context, r schema.GroupVersionResource, namespace, name string) error {
	background := metav1.DeletePropagationBackground
	err := p.Cluster.Dynamic.Resource(r).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s/%s: %w", r.Resource, namespace, name, err)
	}
	return nil
}
