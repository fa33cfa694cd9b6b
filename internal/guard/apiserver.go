package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// apiServer dry-runs documents the way Argo CD applies them.
type apiServer struct {
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

// newAPIServer asks the cluster which kinds it has.
func newAPIServer(cluster *kube.Cluster) (*apiServer, error) {
	client, err := discovery.NewDiscoveryClientForConfig(cluster.Config)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", cluster.Kubeconfig.Server, err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		return nil, fmt.Errorf("ask %s which kinds it has: %w", cluster.Kubeconfig.Server, err)
	}
	return &apiServer{cluster.Dynamic, restmapper.NewDiscoveryRESTMapper(groups)}, nil
}

// fieldManager is whom the dry-run is by.
const fieldManager = "neuroscale-guard"

func (a *apiServer) dryRun(ctx context.Context, d *document) (refusal, unanswered error) {
	gv, err := schema.ParseGroupVersion(d.apiVersion)
	if err != nil {
		return nil, err
	}
	mapping, err := a.mapper.RESTMapping(gv.WithKind(d.kind).GroupKind(), gv.Version)
	if err != nil {
		return nil, fmt.Errorf("the cluster has no kind %s in %s", d.kind, d.apiVersion)
	}
	text, err := json.Marshal(d.object)
	if err != nil {
		return nil, err
	}
	var resource dynamic.ResourceInterface = a.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = a.dynamic.Resource(mapping.Resource).Namespace(d.namespace)
	}
	force := true
	_, err = resource.Patch(ctx, d.name, types.ApplyPatchType, text,
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: fieldManager, Force: &force})
	return sort(err)
}

// sort tells a refusal from a cluster that could not judge.
func sort(err error) (refusal, unanswered error) {
	var transport *url.Error
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &transport), !errors.As(err, &status):
		return nil, err
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("its namespace is not there: %w", err)
	case apierrors.IsUnauthorized(err), apierrors.IsInternalError(err), apierrors.IsTimeout(err),
		apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		return nil, err
	}
	return err, nil
}
