// Command neuroscale-doorkeeper tells the gateway which requests show a key that
// opens the endpoint they are for. It runs in a pod.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/neuroscale-platform/neuroscale/internal/doorkeeper"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// main takes the tenants' namespaces as its arguments.
func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	klog.SetSlogLogger(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Args[1:]); err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, tenants []string) error {
	api, err := doorkeeper.InCluster(log)
	if err != nil {
		return err
	}
	gate, err := net.Listen("tcp", fmt.Sprintf(":%d", keys.GatePort))
	if err != nil {
		return err
	}
	status, err := net.Listen("tcp", fmt.Sprintf(":%d", keys.StatusPort))
	if err != nil {
		return err
	}
	d := doorkeeper.New(log, keys.Secret, keys.PlatformSecret)
	// It goes on following while the last requests are answered.
	followed := make(chan error, 1)
	go func() { followed <- d.Follow(context.WithoutCancel(ctx), api, tenants) }()
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, gate, status) }()
	select {
	case err := <-followed:
		return fmt.Errorf("follow the API server: %w", err)
	case err := <-served:
		return err
	}
}
