// Kube-router's controller of network policies and no other part of it: without
// its routing and its service proxy, all but a few packages are Kubernetes' own.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config := options.NewKubeRouterConfig()
	config.AddFlags(pflag.CommandLine)
	set := pflag.String("enforced-set", "", "TABLE/SET of nftables, of addresses of family ip: the pods whose rules are in force")
	pflag.Parse()
	if err := run(config, *set); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(config *options.KubeRouterConfig, set string) error {
	client, err := clientcmd.BuildConfigFromFlags(config.Master, config.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", config.Kubeconfig, err)
	}
	api, err := kubernetes.NewForConfig(client)
	if err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	stop := make(chan struct{})
	watched := informers.NewSharedInformerFactory(api, 0)
	pods := watched.Core().V1().Pods().Informer()
	namespaces := watched.Core().V1().Namespaces().Informer()
	policies := watched.Networking().V1().NetworkPolicies().Informer()
	watched.Start(stop)
	watched.WaitForCacheSync(stop)

	tables, ipsets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return fmt.Errorf("reach iptables: %w", err)
	}
	e, err := newEnforced(set, pods.GetIndexer(), tables[core.IPv4Protocol], ipsets[core.IPv4Protocol])
	if err != nil {
		return err
	}
	tables[core.IPv4Protocol], ipsets[core.IPv4Protocol] = e, e
	var settings sync.Mutex
	controller, err := netpol.NewNetworkPolicyController(api, config, pods, policies, namespaces, &settings, tables, ipsets)
	if err != nil {
		return fmt.Errorf("make the controller of network policies: %w", err)
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods: controller.PodEventHandler, namespaces: controller.NamespaceEventHandler, policies: controller.NetworkPolicyEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("follow the API server: %w", err)
		}
	}
	// The controller waits until somebody has taken its heartbeat.
	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats {
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	go controller.Run(beats, stop, &running)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
	close(stop)
	running.Wait()
	return nil
}
