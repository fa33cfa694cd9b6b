package bench

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// The examples every new endpoints repository holds.
const (
	driftDeployment  = "nginx-test"
	warmEndpoint     = "demo-iris-2"
	scalableEndpoint = "sklearn-iris"
	scalableFolder   = "ai-model-alpha"
)

// drift deletes the example Deployment and waits until Git's is Ready in its place.
func drift(ctx context.Context, p *Platform) ([]float64, string, error) {
	client := p.Dynamic.Resource(kube.Deployments).Namespace(p.Namespace)
	return repeat(10, func() (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		var old types.UID
		err := predict.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			o, err := client.Get(ctx, driftDeployment, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("look up Deployment %s: %w", driftDeployment, err)
			}
			old = o.GetUID()
			return ready(o)
		})
		if err != nil {
			return 0, err
		}
		return timed(func() error {
			propagation := metav1.DeletePropagationBackground
			if err := client.Delete(ctx, driftDeployment, metav1.DeleteOptions{PropagationPolicy: &propagation}); err != nil {
				return fmt.Errorf("delete Deployment %s: %w", driftDeployment, err)
			}
			return predict.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) error {
				o, err := client.Get(ctx, driftDeployment, metav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("wait for Deployment %s to come back: %w", driftDeployment, err)
				}
				if o.GetUID() == old {
					return fmt.Errorf("Deployment %s was not deleted: %w", driftDeployment, errStill)
				}
				return ready(o)
			})
		})
	})
}

// ready is nil when a Deployment is.
func ready(deployment *unstructured.Unstructured) error {
	if why := kube.NotReady(deployment); why != "" {
		return fmt.Errorf("Deployment %s is not ready (%s): %w", deployment.GetName(), why, errStill)
	}
	return nil
}

// fromZero waits until the example that may scale to zero has, and times the
// request that wakes it.
func fromZero(ctx context.Context, p *Platform) ([]float64, string, error) {
	var idle float64
	samples, _, err := repeat(3, func() (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
		defer cancel()
		host, err := p.host(ctx, scalableEndpoint)
		if err != nil {
			return 0, err
		}
		idle, err = timed(func() error {
			return predict.Poll(ctx, time.Second, func(ctx context.Context) error {
				list, err := p.Dynamic.Resource(kube.Pods).Namespace(p.Namespace).List(ctx, metav1.ListOptions{
					LabelSelector: "serving.kserve.io/inferenceservice=" + scalableEndpoint,
				})
				if err != nil {
					return fmt.Errorf("list the pods of %s: %w", scalableEndpoint, err)
				}
				if n := len(list.Items); n > 0 {
					return fmt.Errorf("%s still has %d pods", scalableEndpoint, n)
				}
				return nil
			})
		})
		if err != nil {
			return 0, err
		}
		return timed(func() error {
			_, err := predict.Do(ctx, p.HTTP, p.request(scalableEndpoint, host))
			return err
		})
	})
	return samples, fmt.Sprintf("the last one after %.0f s of waiting for its pods to go", idle), err
}

func (p *Platform) host(ctx context.Context, endpoint string) (string, error) {
	return predict.Endpoint(ctx, p.Dynamic, p.Namespace, endpoint)
}

func (p *Platform) request(endpoint, host string) predict.Request {
	return predict.Request{Name: endpoint, Gateway: p.Gateway, Host: host, Key: p.Key, Data: []byte(predict.Example)}
}

// latency sends 300 requests one after another over one connection, after 20
// that warm it up.
func latency(ctx context.Context, p *Platform) (Samples, string, error) {
	host, err := p.host(ctx, warmEndpoint)
	if err != nil {
		return nil, "", err
	}
	for range 20 {
		if _, err := predict.Do(ctx, p.HTTP, p.request(warmEndpoint, host)); err != nil {
			return nil, "", err
		}
	}
	samples, _, err := repeat(300, func() (float64, error) {
		answer, err := predict.Do(ctx, p.HTTP, p.request(warmEndpoint, host))
		return answer.LatencyMS, err
	})
	return Samples{"latency-p50": samples, "latency-p95": samples}, "", err
}

// gone waits until an endpoint's InferenceService is deleted.
func (p *Platform) gone(ctx context.Context, endpoint string) error {
	return predict.Poll(ctx, 250*time.Millisecond, func(ctx context.Context) error {
		_, err := p.Dynamic.Resource(kube.InferenceServices).Namespace(p.Namespace).Get(ctx, endpoint, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("endpoint %s is still there: %w", endpoint, errStill)
	})
}
