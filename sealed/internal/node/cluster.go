package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/addons"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/provisioner"
)

// cluster is what the API server says of the instance. After a crash it first
// says what was true before; only what was seen since the launch counts.
type cluster struct {
	client   kubernetes.Interface
	node     string
	launched time.Time
}

func newCluster(config *rest.Config, i *Instance) (cluster, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return cluster{}, fmt.Errorf("connect to the API server: %w", err)
	}
	return cluster{client, i.FullName(), i.Launched}, nil
}

// nodeReady is nil if the node is Ready now.
func (c cluster) nodeReady(ctx context.Context) error {
	n, err := c.client.CoreV1().Nodes().Get(ctx, c.node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("ask for node %s: %w", c.node, err)
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type != corev1.NodeReady || condition.LastHeartbeatTime.Time.Before(c.launched) {
			continue
		}
		if condition.Status != corev1.ConditionTrue {
			return fmt.Errorf("node %s: %s", c.node, condition.Message)
		}
		return nil
	}
	return fmt.Errorf("node %s has said nothing yet", c.node)
}

// dnsReady is nil if cluster DNS serves now.
func (c cluster) dnsReady(ctx context.Context) error {
	pods, err := c.client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil {
		return fmt.Errorf("ask for cluster DNS: %w", err)
	}
	why := errors.New("cluster DNS has no pod yet")
	for _, p := range pods.Items {
		for _, s := range p.Status.ContainerStatuses {
			if s.Ready && s.State.Running != nil && !s.State.Running.StartedAt.Time.Before(c.launched) {
				return nil
			}
			why = fmt.Errorf("pod %s is not ready", p.Name)
			if w := s.State.Waiting; w != nil {
				why = fmt.Errorf("pod %s: %s %s", p.Name, w.Reason, w.Message)
			}
		}
	}
	return why
}

func applyAddons(ctx context.Context, config *rest.Config, i *Instance, spec Spec) (int, error) {
	return addons.Apply(ctx, config, addons.Params{
		CoreDNSImage: spec.CoreDNSImage, Domain: Domain, DNSIP: DNSIP, NodeIP: i.NodeIP().String(),
		Provisioner: provisioner.Name, ObjectStorePort: ObjectStorePort,
	})
}

// healthy is nil if API server, node and cluster DNS answer well now.
func healthy(ctx context.Context, i *Instance) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	if !apiReady(ctx, config) {
		return fmt.Errorf("API server %s is not ready", i.APIServer())
	}
	c, err := newCluster(config, i)
	if err != nil {
		return err
	}
	return errors.Join(c.nodeReady(ctx), c.dnsReady(ctx))
}
