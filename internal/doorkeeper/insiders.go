package doorkeeper

import (
	"slices"
	"sync"
	"sync/atomic"
)

// insiders are the addresses of tenants' pods. A tenant's pods reach each other
// anyway, so a transformer may ask its predictor through the gateway without a key.
type insiders struct {
	mu sync.Mutex
	// pods by namespace and UID.
	pods map[string]map[string][]string
	// byAddress are the namespaces whose pods have an address: two for a moment, if
	// it is given away before the news of its last owner's end is here.
	byAddress atomic.Pointer[map[string][]string]
}

// in is whether a pod of that namespace has the address.
func (i *insiders) in(address, namespace string) bool {
	m := i.byAddress.Load()
	return m != nil && address != "" && slices.Contains((*m)[address], namespace)
}

// set the addresses of one pod, none if it is gone; it returns how many there are of
// all tenants.
func (i *insiders) set(namespace, uid string, addresses []string) (count int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pods == nil {
		i.pods = map[string]map[string][]string{}
	}
	if i.pods[namespace] == nil {
		i.pods[namespace] = map[string][]string{}
	}
	i.pods[namespace][uid] = addresses
	if len(addresses) == 0 {
		delete(i.pods[namespace], uid)
	}
	all := map[string][]string{}
	for namespace, pods := range i.pods {
		for _, addresses := range pods {
			for _, a := range addresses {
				all[a] = append(all[a], namespace)
				count++
			}
		}
	}
	i.byAddress.Store(&all)
	return count
}
