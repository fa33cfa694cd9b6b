package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// inside are ranges that belong to whoever runs the cluster: a wider CIDR does not
// mean them.
var inside = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// Inside are addresses that belong to whoever runs the cluster, but for a node's own and
// those where a cloud answers with its credentials.
func Inside() []string {
	var out []string
	for _, each := range inside {
		if !each.Addr().IsLoopback() && !slices.Contains(linkLocal, each) {
			out = append(out, each.String())
		}
	}
	return out
}

// linkLocal is where a cloud answers with the credentials of the node.
var linkLocal = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10")}

// Except are the ranges within CIDR that it does not mean, in a fixed order.
func (e Egress) Except() []string {
	wide, err := netip.ParsePrefix(e.CIDR)
	if err != nil {
		return nil
	}
	var out []string
	for _, each := range inside {
		if wide.Bits() < each.Bits() && wide.Contains(each.Addr()) {
			out = append(out, each.String())
		}
	}
	return out
}

func (v *checker) egress(at string, list []Egress) {
	for i, e := range list {
		field := fmt.Sprintf("%s[%d]", at, i)
		v.cidr(field+".cidr", e.CIDR)
		if len(e.Ports) == 0 {
			v.refuse(field+".ports", []int{}, "at least one port, such as 443")
		}
	}
}

func (v *checker) cidr(field, value string) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		v.refuse(field, value, "addresses such as 203.0.113.0/24, or 203.0.113.7/32 for one")
		return
	}
	if masked := prefix.Masked(); masked != prefix {
		v.refuse(field, value, masked.String()+", the network that this address is in, or /32 (IPv6: /128) behind it for one address")
		return
	}
	for _, each := range linkLocal {
		if each.Bits() <= prefix.Bits() && each.Contains(prefix.Addr()) {
			v.refuse(field, value, "addresses outside "+each.String()+", where a cloud hands out the credentials of its nodes")
			return
		}
	}
}
