package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/addons"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
)

// connect makes the instance's network namespace and the pair of interfaces
// between it and the host. Whatever is sent anywhere else is refused at once.
// Services have a route only because the kernel wants one before kube-proxy's
// rules send a connection where it belongs.
func connect(ctx context.Context, i *Instance) error {
	if err := netns.Create(i.FullName()); err != nil {
		return err
	}
	host := fmt.Sprintf(`link add %[1]s type veth peer name eth0 netns %[2]s
address add %[3]s/30 dev %[1]s
link set %[1]s up
`, i.Link(), netns.Path(i.FullName()), i.HostIP())
	if err := ip(ctx, host); err != nil {
		return err
	}
	inside := fmt.Sprintf(`link set lo up
address add %s/30 dev eth0
link set eth0 up
route add %s dev eth0
route add unreachable default
`, i.NodeIP(), ServiceCIDR)
	return netns.Do(i.FullName(), func() error {
		return errors.Join(ip(ctx, inside), nft(ctx, unjudged(i)))
	})
}

// judged is the mark that kube-router gives to what a NetworkPolicy, or none at
// all, allows. The rules of the pod that is reached give it as well as those of the
// one that sends.
const judged = 0x20000

// enforcedTable and enforcedSet name the addresses of the pods whose rules are in
// force, which kube-router keeps. An address is given again only after 143 others:
// there are 253 in PodSubnet and at most 110 pods.
const (
	enforcedTable = "neuroscale"
	enforcedSet   = "enforced"
)

// unjudged keeps a pod whose rules are not in force yet, which is a new one for about
// a second, from everything but what every pod may reach, and everybody but the node
// from it: without it, that second is enough to talk to whom the policies forbid. It
// comes after kube-router's own rules, and while there is no kube-router, nothing new
// passes. Policies are about IPv4, so pods speak nothing else: every interface has a
// link-local address of IPv6 as well, by which they would reach each other.
func unjudged(i *Instance) string {
	return fmt.Sprintf(`table ip %[6]s {
  set %[7]s {
    type ipv4_addr
  }
  chain sender {
    ip saddr != @%[7]s drop
    meta mark & %#[2]x != %#[2]x drop
  }
  chain input {
    type filter hook input priority 10
    ip saddr != %[1]s accept
    ct state != new accept
    ip daddr %[3]s tcp dport %[4]d accept
    jump sender
  }
  chain forward {
    type filter hook forward priority 10
    ct state != new accept
    ip daddr %[1]s ip daddr != @%[7]s drop
    ip saddr != %[1]s accept
    ip daddr %[1]s meta l4proto { tcp, udp } th dport %[5]d accept
    jump sender
  }
}
table bridge %[6]s {
  chain prerouting {
    type filter hook prerouting priority 0
    ether type != { ip, arp } drop
  }
}
`, PodCIDR, judged, i.NodeIP(), ObjectStorePort, addons.DNSPort, enforcedTable, enforcedSet)
}

func nft(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("keep new pods from the network with nft: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// disconnect takes away what connect made, however much of it there is.
func disconnect(ctx context.Context, i *Instance) error {
	var errs []error
	if i.Index >= 0 {
		if _, err := net.InterfaceByName(i.Link()); err == nil {
			errs = append(errs, ip(ctx, "link delete "+i.Link()+"\n"))
		}
	}
	return errors.Join(append(errs, netns.Delete(i.FullName()))...)
}

func ip(ctx context.Context, batch string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up network with ip: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}
