// Command neuroscale-forge-proxy speaks TLS for Gitea, slows down who guesses
// passwords, lets nobody but the guard set statuses, and tells programs and browsers
// apart where people sign in. It runs in Gitea's pod.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/forgeproxy"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
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
	flags := flag.NewFlagSet("neuroscale-forge-proxy", flag.ContinueOnError)
	listen := flags.String("listen", ":3000", "address to answer at")
	upstream := flags.String("upstream", "http://127.0.0.1:3001", "URL of Gitea")
	public := flags.String("public-url", "", "URL at which browsers reach it")
	dir := flags.String("certificate", "", "folder with tls.crt and tls.key (default: plain HTTP)")
	failures := flags.Int("failures", 10, "wrong passwords for an account from an address within the window")
	window := flags.Duration("window", time.Minute, "what they are counted in")
	checker := flags.String("checker", "guard", "the account that sets statuses, and nobody else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := url.Parse(*upstream)
	if err != nil {
		return err
	}
	seen, err := url.Parse(*public)
	if err != nil {
		return err
	}
	if at.Host == "" || seen.Host == "" || *failures < 1 || *window <= 0 {
		return errors.New("--upstream and --public-url are URLs, --failures at least 1 and --window more than 0")
	}
	var certificate *keypair.Served
	if *dir != "" {
		if certificate, err = keypair.LoadServed(*dir, log); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	return forgeproxy.New(at, seen, forgeproxy.NewThrottle(*failures, *window), *checker, log).Serve(ctx, l, certificate)
}
