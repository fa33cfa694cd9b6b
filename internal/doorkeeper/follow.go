package doorkeeper

import (
	"context"
	"errors"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// Follow keeps keys and the addresses of tenants' pods as the API server has them,
// until ctx ends. While it does not answer, what it said last holds.
func (d *Doorkeeper) Follow(ctx context.Context, a *API, tenants []string) error {
	var all sync.WaitGroup
	var lock sync.Mutex
	var errs []error
	begin := func(follow func() error) {
		all.Go(func() {
			err := follow()
			lock.Lock()
			defer lock.Unlock()
			errs = append(errs, err)
		})
	}
	for secret := range d.sources {
		begin(func() error { return d.followKeys(ctx, a, secret) })
	}
	for _, namespace := range tenants {
		begin(func() error { return d.followPods(ctx, a, namespace) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// followKeys takes the source for the name of a Secret. One that is not there, or
// no more, has no keys.
func (d *Doorkeeper) followKeys(ctx context.Context, a *API, secret string) error {
	put := func(data map[string][]byte) {
		s, err := keys.Decode(data)
		if err != nil {
			d.log.Error("the store has entries that are no keys", "secret", secret, "error", err)
		}
		d.Put(secret, s, len(data)-len(s))
		d.log.Info("keys read", "secret", secret, "keys", len(s))
	}
	return a.follow(ctx, source{
		resource: "secrets", namespace: keys.Namespace, object: &corev1.Secret{},
		selector: fields.OneTermEqualSelector(metav1.ObjectNameField, secret),
	}, func(o any) { put(o.(*corev1.Secret).Data) }, func(any) { put(nil) }, func() { d.absent(secret) })
}

func (d *Doorkeeper) followPods(ctx context.Context, a *API, namespace string) error {
	set := func(o any, addresses []string) {
		d.metrics.inside.Store(int64(d.inside.set(namespace, string(o.(*corev1.Pod).UID), addresses)))
	}
	return a.follow(ctx, source{
		resource: "pods", namespace: namespace, object: &corev1.Pod{}, selector: fields.Everything(), slim: slim,
	}, func(o any) {
		set(o, addresses(o.(*corev1.Pod)))
		d.starts.see(o.(*corev1.Pod))
	}, func(o any) {
		set(o, nil)
		d.starts.forget(o.(*corev1.Pod))
	}, func() {})
}

// slim keeps of a pod what its addresses take, and when it began and got ready.
func slim(o any) (any, error) {
	p, is := o.(*corev1.Pod)
	if !is {
		return o, nil
	}
	kept := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion, CreationTimestamp: p.CreationTimestamp,
			Labels: map[string]string{endpointLabel: p.Labels[endpointLabel], componentLabel: p.Labels[componentLabel]},
		},
		Spec:   corev1.PodSpec{HostNetwork: p.Spec.HostNetwork},
		Status: corev1.PodStatus{Phase: p.Status.Phase, PodIPs: p.Status.PodIPs},
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			kept.Status.Conditions = []corev1.PodCondition{c}
		}
	}
	return kept, nil
}

// addresses that are the pod's alone: not the node's, and not those it had while it
// ran.
func addresses(p *corev1.Pod) []string {
	if p.Spec.HostNetwork || slices.Contains([]corev1.PodPhase{corev1.PodSucceeded, corev1.PodFailed}, p.Status.Phase) {
		return nil
	}
	var all []string
	for _, a := range p.Status.PodIPs {
		all = append(all, a.IP)
	}
	return all
}
