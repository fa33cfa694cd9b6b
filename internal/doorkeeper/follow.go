package doorkeeper

import (
	"context"
	"net/url"
	"slices"
	"sync"

	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// Follow keeps keys and the addresses of tenants' pods as the API server has them,
// until ctx ends. While it does not answer, what it said last holds.
func (d *Doorkeeper) Follow(ctx context.Context, a *API, tenants []string) {
	var all sync.WaitGroup
	for source := range d.sources {
		all.Go(func() { d.followKeys(ctx, a, source) })
	}
	for _, namespace := range tenants {
		all.Go(func() { d.followPods(ctx, a, namespace) })
	}
	all.Wait()
}

// followKeys takes the source for the name of a Secret. One that is not there, or
// no more, has no keys.
func (d *Doorkeeper) followKeys(ctx context.Context, a *API, secret string) {
	put := func(data map[string][]byte) {
		s, err := keys.Decode(data)
		if err != nil {
			d.log.Error("the store has entries that are no keys", "secret", secret, "error", err)
		}
		d.Put(secret, s, len(data)-len(s))
		d.log.Info("keys read", "secret", secret, "keys", len(s))
	}
	a.follow(ctx, "/api/v1/namespaces/"+keys.Namespace+"/secrets", url.Values{"fieldSelector": {"metadata.name=" + secret}},
		func(list []object) {
			if len(list) == 0 {
				put(nil)
				return
			}
			put(list[0].Data)
		}, func(o object, gone bool) {
			if gone {
				o.Data = nil
			}
			put(o.Data)
		})
}

func (d *Doorkeeper) followPods(ctx context.Context, a *API, namespace string) {
	a.follow(ctx, "/api/v1/namespaces/"+namespace+"/pods", nil, func(list []object) {
		pods := map[string][]string{}
		for _, o := range list {
			if addresses := o.addresses(); len(addresses) > 0 {
				pods[o.Metadata.UID] = addresses
			}
		}
		d.metrics.inside.Store(int64(d.inside.replace(namespace, pods)))
	}, func(o object, gone bool) {
		addresses := o.addresses()
		if gone {
			addresses = nil
		}
		d.metrics.inside.Store(int64(d.inside.set(namespace, o.Metadata.UID, addresses)))
	})
}

// addresses that are the pod's alone: not the node's, and not those it had while it
// ran.
func (o object) addresses() []string {
	if o.Spec.HostNetwork || slices.Contains([]string{"Succeeded", "Failed"}, o.Status.Phase) {
		return nil
	}
	var all []string
	for _, a := range o.Status.PodIPs {
		all = append(all, a.IP)
	}
	return all
}
