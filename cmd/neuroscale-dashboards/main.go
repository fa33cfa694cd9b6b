// Command neuroscale-dashboards serves pages with plots of what Prometheus measures. It
// runs in a pod, and is reached by `neuroscale forward dashboards`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/neuroscale-platform/neuroscale/internal/dashboards"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Args[1:]); err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, args []string) error {
	flags := flag.NewFlagSet("neuroscale-dashboards", flag.ContinueOnError)
	boards := flags.String("boards", "/etc/dashboards", "folder with the dashboards, NAME.yaml")
	uplot := flags.String("uplot", "/uplot", "folder with uPlot's files")
	source := flags.String("prometheus", "", "URL of Prometheus")
	currency := flags.String("currency", "USD", "what costs are in")
	hosts := flags.String("hosts", "", "names it is asked at besides loopback, separated by commas")
	certificates := flags.String("certificates", "", "servers whose certificates are looked at, NAME=HOST:PORT, separated by commas")
	listen := flags.String("listen", ":8080", "address to serve at")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *source == "" {
		return errors.New("-prometheus is empty: write its URL")
	}
	all, err := dashboards.Load(os.DirFS(*boards))
	if err != nil {
		return fmt.Errorf("read the dashboards in %s: %w", *boards, err)
	}
	servers, err := dashboards.ParseTLSServers(*certificates)
	if err != nil {
		return fmt.Errorf("-certificates: %w", err)
	}
	ends := dashboards.NewCertificates(servers, log)
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(ends, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handler, err := dashboards.New(dashboards.Args{
		Boards: all, Prometheus: dashboards.Prometheus{URL: strings.TrimSuffix(*source, "/"), Client: &http.Client{}},
		Currency: *currency, UPlot: os.DirFS(*uplot), Hosts: strings.Split(*hosts, ","), Metrics: metrics, Log: log,
	})
	if err != nil {
		return err
	}
	h := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go ends.Follow(ctx)
	served := make(chan error, 1)
	go func() { served <- h.ListenAndServe() }()
	log.Info("serving", "dashboards", len(all), "address", *listen)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return h.Close()
	}
}
