package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// Where the pods are whose memory is promised, and by which label.
const (
	portalNamespace, portalPods = portal.Namespace, "app=" + portal.Layer
	guardNamespace, guardPods   = reviews.Namespace, "app=" + reviews.Layer
)

// summary is the part of the kubelet's /stats/summary that is used.
type summary struct {
	Pods []podStats `json:"pods"`
}

type podStats struct {
	PodRef struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"podRef"`
	Containers []struct {
		Memory struct {
			Time       time.Time `json:"time"`
			RSS        uint64    `json:"rssBytes"`
			WorkingSet uint64    `json:"workingSetBytes"`
		} `json:"memory"`
	} `json:"containers"`
}

// stats are what the kubelets know of all pods.
func (p *Platform) stats(ctx context.Context) ([]podStats, error) {
	list, err := p.Dynamic.Resource(kube.Nodes).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	var all []podStats
	for _, node := range list.Items {
		raw, err := p.Get(ctx, "/api/v1/nodes/"+node.GetName()+"/proxy/stats/summary")
		if err != nil {
			return nil, fmt.Errorf("read the statistics of node %s: %w", node.GetName(), err)
		}
		var s summary
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("read the statistics of node %s: %w", node.GetName(), err)
		}
		all = append(all, s.Pods...)
	}
	return all, nil
}

// sum adds up the memory of some pods, in bytes; oldest is when the first of the
// figures was taken.
func sum(pods []podStats) (rss, workingSet uint64, oldest time.Time) {
	for _, pod := range pods {
		for _, c := range pod.Containers {
			rss += c.Memory.RSS
			workingSet += c.Memory.WorkingSet
			if oldest.IsZero() || c.Memory.Time.Before(oldest) {
				oldest = c.Memory.Time
			}
		}
	}
	return rss, workingSet, oldest
}

// memory adds up the resident memory of every pod that is not a tenant's, as the
// kubelets see it.
func memory(ctx context.Context, p *Platform) ([]float64, string, error) {
	all, err := p.stats(ctx)
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(s podStats) bool { return s.PodRef.Namespace == p.Namespace })
	rss, workingSet, _ := sum(all)
	if rss == 0 {
		return nil, "", fmt.Errorf("the kubelets report no resident memory for any platform pod (%d pods)", len(all))
	}
	return []float64{float64(rss) / 1e9}, fmt.Sprintf("%d pods, anonymous memory (the kubelet's rssBytes); working set %.2f GB", len(all), float64(workingSet)/1e9), nil
}

func portalMemory(ctx context.Context, p *Platform) ([]float64, string, error) {
	return p.memoryOf(ctx, portalNamespace, portalPods)
}

func guardMemory(ctx context.Context, p *Platform) ([]float64, string, error) {
	return p.memoryOf(ctx, guardNamespace, guardPods)
}

// memoryOf is the resident memory of pods in MB, as the kubelets see it after this was
// called: they look every ten seconds or so.
func (p *Platform) memoryOf(ctx context.Context, namespace, selector string) ([]float64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	list, err := p.Dynamic.Resource(kube.Pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, "", fmt.Errorf("list the pods with %s in namespace %s: %w", selector, namespace, err)
	}
	if len(list.Items) == 0 {
		return nil, "", fmt.Errorf("there is no pod with %s in namespace %s", selector, namespace)
	}
	asked := time.Now()
	var rss, workingSet uint64
	err = predict.Poll(ctx, time.Second, func(ctx context.Context) error {
		all, err := p.stats(ctx)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(s podStats) bool {
			return s.PodRef.Namespace != namespace || !slices.ContainsFunc(list.Items, func(o unstructured.Unstructured) bool { return o.GetName() == s.PodRef.Name })
		})
		var at time.Time
		rss, workingSet, at = sum(all)
		if len(all) < len(list.Items) || rss == 0 || at.Before(asked) {
			return fmt.Errorf("the kubelets have no newer figures of the pods with %s in namespace %s: %w", selector, namespace, errStill)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return []float64{float64(rss) / 1e6}, fmt.Sprintf("anonymous memory (the kubelet's rssBytes); working set %.0f MB", float64(workingSet)/1e6), nil
}

// portalReady deletes the portal's pod and times the one in its place, from when it is
// made until it is ready.
func portalReady(ctx context.Context, p *Platform) ([]float64, string, error) {
	client := p.Dynamic.Resource(kube.Pods).Namespace(portalNamespace)
	return repeat(3, func() (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
		defer cancel()
		before, err := p.portalPod(ctx, "")
		if err != nil {
			return 0, err
		}
		if err := client.Delete(ctx, before.GetName(), metav1.DeleteOptions{}); err != nil {
			return 0, fmt.Errorf("delete the portal's pod: %w", err)
		}
		err = predict.Poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
			_, err := p.portalPod(ctx, before.GetUID())
			return err
		})
		if err != nil {
			return 0, err
		}
		return timed(func() error {
			return predict.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) error {
				pod, err := p.portalPod(ctx, before.GetUID())
				if err != nil {
					return err
				}
				if why := kube.NotReady(pod); why != "" {
					return fmt.Errorf("the portal is not ready (%s): %w", why, errStill)
				}
				return nil
			})
		})
	})
}

// portalPod is the portal's pod that is meant to stay, and is not the one of that UID.
func (p *Platform) portalPod(ctx context.Context, other types.UID) (*unstructured.Unstructured, error) {
	list, err := p.Dynamic.Resource(kube.Pods).Namespace(portalNamespace).List(ctx, metav1.ListOptions{LabelSelector: portalPods})
	if err != nil {
		return nil, fmt.Errorf("look for the portal's pod: %w", err)
	}
	for i := range list.Items {
		if o := &list.Items[i]; o.GetUID() != other && o.GetDeletionTimestamp() == nil {
			return o, nil
		}
	}
	return nil, fmt.Errorf("the portal has no pod: %w", errStill)
}
