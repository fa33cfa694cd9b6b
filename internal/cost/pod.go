package cost

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// gpus are the resources that are a GPU, whoever makes it.
var gpus = []string{"nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi"}

// requirements are requests and limits as they are written.
type requirements struct{ requests, limits list }

// or is r with what it lacks from other.
func (r requirements) or(other requirements) requirements {
	return requirements{r.requests.or(other.requests), r.limits.or(other.limits)}
}

type container struct {
	name string
	requirements
	// sidecar is an init container that keeps running.
	sidecar bool
}

type pod struct {
	containers, inits []container
	// level is asked for by the pod as a whole.
	level    requirements
	overhead list
}

// containerDefaults are what a LimitRange gives containers that say nothing.
type containerDefaults requirements

// effective is what a pod counts as, for the scheduler as for a quota.
type effective struct {
	requests, limits Amount
	// unrequested and unlimited name what a container says nothing about.
	unrequested, unlimited [dimensions]string
}

func readPod(spec node) pod {
	p := pod{level: readRequirements(spec.at("resources")), overhead: readList(spec.at("overhead"))}
	for _, c := range spec.at("containers").items() {
		p.containers = append(p.containers, readContainer(c))
	}
	for _, c := range spec.at("initContainers").items() {
		p.inits = append(p.inits, readContainer(c))
	}
	return p
}

func readContainer(c node) container {
	return container{
		name:         c.at("name").text(),
		requirements: readRequirements(c.at("resources")),
		sidecar:      c.at("restartPolicy").text() == "Always",
	}
}

func readRequirements(r node) requirements {
	return requirements{requests: readList(r.at("requests")), limits: readList(r.at("limits"))}
}

func readList(n node) list {
	l := list{cpu: n.at("cpu").quantity(cpu), memory: n.at("memory").quantity(memory), disk: n.at("ephemeral-storage").quantity(disk)}
	for _, name := range gpus {
		l = l.plus(list{gpu: n.at(name).quantity(gpu)})
	}
	return l
}

// effective adds a pod up in the order in which the API server fills it in:
// requests from limits, then the pod's own requests, then the namespace's
// defaults.
func (p pod) effective(defaults containerDefaults) effective {
	fill := func(containers []container) []container {
		out := make([]container, len(containers))
		for i, c := range containers {
			c.requests = c.requests.or(c.limits)
			out[i] = c
		}
		return out
	}
	containers, inits := fill(p.containers), fill(p.inits)
	level := p.level
	if level.limits[cpu] != nil || level.limits[memory] != nil {
		level.requests = level.requests.or(total(containers, inits, requests)).or(level.limits)
	}
	for _, all := range [][]container{containers, inits} {
		for i := range all {
			all[i].requirements = all[i].or(requirements(defaults))
		}
	}

	var e effective
	sums := [...]list{total(containers, inits, requests), total(containers, inits, limits)}
	for i, own := range [...]list{level.requests, level.limits} {
		for d := range gpu { // a pod as a whole cannot ask for GPUs
			if own[d] != nil {
				sums[i][d] = own[d]
			}
		}
	}
	sums[0] = sums[0].plus(p.overhead)
	for d := range dimensions {
		// Overhead raises a limit, it does not make one.
		if limit := sums[1][d]; limit != nil && !limit.IsZero() {
			sums[1] = sums[1].plus(only(d, p.overhead))
		}
	}
	e.requests, e.limits = sums[0].amount(), sums[1].amount()
	for _, all := range [][]container{containers, inits} {
		for _, c := range all {
			for d := range gpu {
				if c.requests[d] == nil && level.requests[d] == nil && e.unrequested[d] == "" {
					e.unrequested[d] = c.name
				}
				if c.limits[d] == nil && level.limits[d] == nil && e.unlimited[d] == "" {
					e.unlimited[d] = c.name
				}
			}
		}
	}
	return e
}

func requests(c container) list { return c.requests }
func limits(c container) list   { return c.limits }

func only(d dimension, l list) list {
	var out list
	out[d] = l[d]
	return out
}

// total is the most a pod needs at any time: all containers and sidecars
// together, or an init container with the sidecars started before it.
func total(containers, inits []container, of func(container) list) list {
	var running, sidecars, peak list
	for _, c := range containers {
		running = running.plus(of(c))
	}
	for _, c := range inits {
		if c.sidecar {
			running, sidecars = running.plus(of(c)), sidecars.plus(of(c))
			peak = peak.most(sidecars)
			continue
		}
		peak = peak.most(sidecars.plus(of(c)))
	}
	return running.most(peak)
}

// defaultsOf are a tenant's container defaults, completed as the API server
// completes a LimitRange: limit from maximum, request from limit or minimum.
func defaultsOf(t config.Tenant) (containerDefaults, error) {
	var out containerDefaults
	lists := [4]list{}
	for i, part := range []struct {
		what   string
		shares config.Shares
	}{
		{"default", t.Limits.Default}, {"defaultRequest", t.Limits.DefaultRequest},
		{"max", t.Limits.Max}, {"min", t.Limits.Min},
	} {
		l, err := written(fmt.Sprintf("limits.%s of tenant %s", part.what, t.Namespace), part.shares)
		if err != nil {
			return out, err
		}
		lists[i] = l
	}
	out.limits = lists[0].or(lists[2])
	out.requests = lists[1].or(out.limits).or(lists[3])
	return out, nil
}

// quantityOf is a whole number as a quantity.
func quantityOf(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
