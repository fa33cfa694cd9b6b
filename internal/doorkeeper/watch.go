package doorkeeper

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// API is the way to the API server.
type API struct {
	client rest.Interface
	log    *slog.Logger
}

// InCluster is the API server as a pod reaches it.
func InCluster(log *slog.Logger) (*API, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("this program runs in a pod: %w", err)
	}
	return connect(config, log)
}

// connect makes a client of the core kinds only: those of all other groups would be
// most of this program.
func connect(config *rest.Config, log *slog.Logger) (*API, error) {
	known := runtime.NewScheme()
	if err := corev1.AddToScheme(known); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &API{client: client, log: log}, nil
}

// source are the objects of one kind in a namespace.
type source struct {
	resource, namespace string
	selector            fields.Selector
	object              runtime.Object
	// slim, if not nil, is what of an object is kept.
	slim cache.TransformFunc
}

// follow hands over every object that is there, comes or changes, and says which are
// gone, until ctx ends; read is called once it has said all there were. What goes
// wrong is logged and tried again.
func (a *API) follow(ctx context.Context, s source, changed, gone func(any), read func()) error {
	informer := cache.NewSharedInformer(cache.NewListWatchFromClient(a.client, s.resource, s.namespace, s.selector), s.object, 0)
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, o any) { changed(o) },
		DeleteFunc: func(o any) {
			if last, unseen := o.(cache.DeletedFinalStateUnknown); unseen {
				o = last.Obj
			}
			gone(o)
		},
	})
	if err != nil {
		return err
	}
	if s.slim != nil {
		if err := informer.SetTransform(s.slim); err != nil {
			return err
		}
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		a.log.Warn("cannot follow the API server", "resource", s.resource, "namespace", s.namespace, "error", err)
	}); err != nil {
		return err
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			read()
		}
	}()
	informer.RunWithContext(ctx)
	return nil
}
