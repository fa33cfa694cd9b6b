package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"
)

// enforced is a set of nftables: the addresses of the pods whose rules are in force.
// The controller tells nobody when it has written rules. But it works with what it
// is given, so this stands between it and the programs that it runs.
type enforced struct {
	utils.IPTablesHandler
	utils.IPSetHandler

	set  string
	nft  knftables.Interface
	pods cache.Indexer

	known   sets.Set[string] // addresses that the controller's next rules are about
	written sets.Set[string] // addresses in the set
}

// newEnforced goes on with the set, which is named TABLE/SET and of family ip, as
// it is: a program that ends and begins again keeps nobody waiting.
func newEnforced(name string, pods cache.Indexer, tables utils.IPTablesHandler, ipsets utils.IPSetHandler) (*enforced, error) {
	table, set, found := strings.Cut(name, "/")
	if !found {
		return nil, fmt.Errorf("--enforced-set %q: write TABLE/SET", name)
	}
	nft, err := knftables.New(knftables.IPv4Family, table)
	if err != nil {
		return nil, fmt.Errorf("reach nftables: %w", err)
	}
	elements, err := nft.ListElements(context.Background(), "set", set)
	if err != nil {
		return nil, fmt.Errorf("read set %s: %w", name, err)
	}
	e := &enforced{IPTablesHandler: tables, IPSetHandler: ipsets, set: set, nft: nft, pods: pods, written: sets.New[string]()}
	for _, element := range elements {
		e.written.Insert(element.Key...)
	}
	return e, nil
}

// ChainExists is what every sync begins with, before it looks which pods its
// policies select. A pod that shows up later may get rules without its policies, and
// those with the next sync.
func (e *enforced) ChainExists(table, chain string) (bool, error) {
	e.known = sets.New[string]()
	for _, o := range e.pods.List() {
		if pod, ok := o.(*core.Pod); ok && pod.Status.PodIP != "" {
			e.known.Insert(pod.Status.PodIP)
		}
	}
	return e.IPTablesHandler.ChainExists(table, chain)
}

// Save is what a sync asks for when its rules are in force, to remove sets of which
// no rule is left. Its error ends the program.
func (e *enforced) Save() error {
	rules, err := e.List("filter", "KUBE-ROUTER-FORWARD")
	if err != nil {
		return err
	}
	if err := e.write(senders(rules).Intersection(e.known)); err != nil {
		return fmt.Errorf("write set %s: %w", e.set, err)
	}
	return e.IPSetHandler.Save()
}

// senders are the addresses whose packets go through a pod's own rules.
func senders(rules []string) sets.Set[string] {
	found := sets.New[string]()
	for _, rule := range rules {
		if !strings.Contains(rule, " -j KUBE-POD-FW-") {
			continue
		}
		words := strings.Fields(rule)
		for i, word := range words[:len(words)-1] {
			if address, ok := strings.CutSuffix(words[i+1], "/32"); ok && word == "-s" {
				found.Insert(address)
			}
		}
	}
	return found
}

// write makes the set hold these addresses. Those that stay are not touched.
func (e *enforced) write(addresses sets.Set[string]) error {
	tx := e.nft.NewTransaction()
	for address := range e.written.Difference(addresses) {
		tx.Delete(&knftables.Element{Set: e.set, Key: []string{address}})
	}
	for address := range addresses.Difference(e.written) {
		tx.Add(&knftables.Element{Set: e.set, Key: []string{address}})
	}
	if tx.NumOperations() == 0 {
		return nil
	}
	if err := e.nft.Run(context.Background(), tx); err != nil {
		return err
	}
	e.written = addresses
	return nil
}
