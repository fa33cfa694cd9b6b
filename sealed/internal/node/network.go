package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

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
	return netns.Do(i.FullName(), func() error { return ip(ctx, inside) })
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
