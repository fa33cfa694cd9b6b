// Package status says how a platform is: its layers, its endpoints, its tenants and
// its nodes, and what to do about what is wrong.
package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Platform is what there should be.
type Platform struct {
	// Stack is its name.
	Stack string
	// Layers in their order, and Tenants.
	Layers  []Wanted
	Tenants []Share
	// Certificates that servers show.
	Certificates []Certificate
	// Applications is Argo CD's namespace.
	Applications string
}

// Wanted is a layer as it should be.
type Wanted struct {
	Name string
	// Version and Hash are those the stack delivered; empty if it has not yet.
	Version, Hash string
	// Namespace is, of a layer that no Application delivers, where its workloads
	// run; empty for all others.
	Namespace string
}

// Share is a tenant and the name of the ResourceQuota in its namespace.
type Share struct{ Tenant, Quota string }

// Report is the -o json of status.
type Report struct {
	Stack string `json:"stack"`
	// Well is whether nothing is wrong.
	Well      bool                `json:"well"`
	Layers    []Layer             `json:"layers"`
	Endpoints []endpoint.Endpoint `json:"endpoints"`
	// Folders are tenants' Applications that are not as Git says.
	Folders []Folder `json:"folders"`
	Tenants []Tenant `json:"tenants"`
	Nodes   []Node   `json:"nodes"`
	// Certificates in the order they end.
	Certificates []Certificate `json:"certificates"`
	// Next is what to do about what is wrong, a sentence for each.
	Next    []string `json:"next"`
	Seconds float64  `json:"seconds"`
	now     time.Time
}

// Layer is a layer as it is.
type Layer struct {
	Name string `json:"name"`
	// Version, and Wanted, a hash, are what the stack delivered.
	Version string `json:"version"`
	Wanted  string `json:"wanted"`
	// Running is the hash of what was synced last, Commit its name in Git. They are
	// empty if nothing was, Running also if nobody knows what the commit is, and
	// both for a layer that no Application delivers.
	Running string `json:"running,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// ByProgram is a layer that no Application delivers: whether it is synced only
	// an `up` or a `preview` knows.
	ByProgram bool `json:"byProgram,omitempty"`
	Synced    bool `json:"synced"`
	Healthy   bool `json:"healthy"`
	// Since when it is as it is; nil if nobody knows.
	Since *time.Time `json:"since,omitempty"`
	// Why it is not as it should be; empty if it is.
	Why string `json:"why,omitempty"`
}

// Folder is an Application of a tenant's that is not as Git says.
type Folder struct {
	Application string `json:"application"`
	Tenant      string `json:"tenant"`
	Why         string `json:"why"`
}

// Tenant is a tenant and how much of its quota is used.
type Tenant struct {
	Name string `json:"name"`
	// Quota has every resource, sorted by name.
	Quota []Use `json:"quota"`
	// Why its quota is not in force; empty if it is.
	Why string `json:"why,omitempty"`
}

// Use is how much of one resource is used.
type Use struct {
	Resource string `json:"resource"`
	Used     string `json:"used"`
	Hard     string `json:"hard"`
	// Percent of Hard that Used is; of a Hard of zero it is 0, or 100 if any is used.
	Percent int `json:"percent"`
}

// Certificate of a server, or of the authority that signed those.
type Certificate struct {
	Name string `json:"name"`
	// Ends is when it does, and Renew from when on a new one is to be had.
	Ends  time.Time `json:"ends"`
	Renew time.Time `json:"renew"`
	// How a new one is had.
	How string `json:"how"`
}

// Node of the cluster.
type Node struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	// Pressure are the conditions that hold and should not.
	Pressure []string `json:"pressure"`
	// Closed is whether new pods are kept away.
	Closed bool `json:"closed,omitempty"`
}

// Read asks the cluster for everything at once. What it does not know, such as a
// kind whose layer is gone, is nothing there.
func Read(ctx context.Context, c dynamic.Interface, p Platform, now time.Time) (*Report, error) {
	var apps, nodeList, quotaList []unstructured.Unstructured
	var endpoints []endpoint.Endpoint
	workloads := map[string][]unstructured.Unstructured{}
	var lock sync.Mutex
	var all sync.WaitGroup
	var errs []error
	ask := func(what string, f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				lock.Lock()
				defer lock.Unlock()
				errs = append(errs, fmt.Errorf("read %s: %w", what, err))
			}
		})
	}
	list := func(r schema.GroupVersionResource, namespace string, into func([]unstructured.Unstructured)) {
		ask("the "+r.Resource, func() error {
			found, err := c.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			into(found.Items)
			return nil
		})
	}
	list(kube.Applications, p.Applications, func(items []unstructured.Unstructured) { apps = items })
	list(kube.Nodes, "", func(items []unstructured.Unstructured) { nodeList = items })
	list(kube.Quotas, metav1.NamespaceAll, func(items []unstructured.Unstructured) { quotaList = items })
	for _, l := range p.Layers {
		if l.Namespace == "" {
			continue
		}
		for _, r := range []schema.GroupVersionResource{kube.Deployments, kube.StatefulSets} {
			list(r, l.Namespace, func(items []unstructured.Unstructured) {
				workloads[l.Name] = append(workloads[l.Name], items...)
			})
		}
	}
	ask("the endpoints", func() (err error) {
		endpoints, err = endpoint.Every(ctx, c, metav1.NamespaceAll)
		return err
	})
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errs[0]
	}

	r := &Report{Stack: p.Stack, Endpoints: endpoints, Nodes: nodesOf(nodeList), now: now}
	for _, l := range p.Layers {
		if l.Namespace != "" {
			r.Layers = append(r.Layers, l.byProgram(workloads[l.Name]))
		} else {
			r.Layers = append(r.Layers, l.fromGit(named(apps, p.Applications, l.Name)))
		}
	}
	for _, t := range p.Tenants {
		r.Tenants = append(r.Tenants, t.use(named(quotaList, t.Tenant, t.Quota)))
	}
	r.Folders = foldersOf(apps, p.Tenants, endpoints)
	r.Certificates = slices.SortedFunc(slices.Values(p.Certificates), func(a, b Certificate) int {
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Name, b.Name))
	})
	r.Next = r.advice()
	r.Well = len(r.Next) == 0
	return r, nil
}

// named is the object of that name; nil if there is none.
func named(list []unstructured.Unstructured, namespace, name string) *unstructured.Unstructured {
	i := slices.IndexFunc(list, func(o unstructured.Unstructured) bool {
		return o.GetNamespace() == namespace && o.GetName() == name
	})
	if i < 0 {
		return nil
	}
	return &list[i]
}
