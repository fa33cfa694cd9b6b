package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

// engineGone is how long the engine may be out of reach before the provider
// ends: an engine that was killed cannot say good-bye.
const engineGone = 5 * time.Second

// Serve runs one provider as a plugin process: it listens on a free loopback
// port, prints the port on stdout and serves until the engine is gone or ctx
// ends. args are the process arguments without the program's name; the engine's
// address is the last that is not a flag.
func Serve(ctx context.Context, args []string, stdout io.Writer, provider Provider) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	if address := engineAddress(args); address != "" {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			rpcutil.GrpcChannelOptions(), grpc.WithIdleTimeout(0))
		if err != nil {
			return fmt.Errorf("engine address %q: %w", address, err)
		}
		defer func() { _ = conn.Close() }()
		go func() {
			untilGone(ctx, conn)
			stop()
		}()
	}

	srv := New(provider)
	quit := make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel:  quit,
		Options: []grpc.ServerOption{grpc.MaxRecvMsgSize(400 << 20)},
		Init: func(s *grpc.Server) error {
			pulumirpc.RegisterResourceProviderServer(s, srv)
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("serving provider %s: %w", provider.Package, err)
	}
	slog.Info("this is a stand-in for the real plugin, which is not installed",
		"provider", provider.Package, "standsInFor", "v"+provider.Version)
	if _, err := fmt.Fprintf(stdout, "%d\n", handle.Port); err != nil {
		return fmt.Errorf("announcing the port: %w", err)
	}
	select {
	case err = <-handle.Done:
	case <-ctx.Done():
		close(quit)
		err = <-handle.Done
	}
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving provider %s: %w", provider.Package, err)
	}
	return nil
}

func engineAddress(args []string) string {
	address := ""
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			address = arg
		}
	}
	return address
}

// untilGone returns when the connection was lost and did not come back.
func untilGone(ctx context.Context, conn *grpc.ClientConn) {
	for ctx.Err() == nil {
		conn.Connect()
		back, cancel := context.WithTimeout(ctx, engineGone)
		for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
			if !conn.WaitForStateChange(back, state) {
				cancel()
				return
			}
		}
		cancel()
		conn.WaitForStateChange(ctx, connectivity.Ready)
	}
}
