// Command neuroscale-guard checks pull requests on the forge. It runs in a pod, as
// serve; each check is a process of its own, as check. In another pod it says what
// became of those that were merged, as follow.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	// The image has no certificates that are known to everybody.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/github"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// settings are the command line's.
type settings struct {
	provider, forge, organization, account, secrets, certificate, authority, rules, scratch, kyverno, listen, metrics, follow, gateway string
}

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
	if len(args) == 0 {
		return errors.New("say serve, check or follow")
	}
	var s settings
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&s.scratch, "scratch", os.TempDir(), "folder for the rules, unpacked")
	flags.StringVar(&s.kyverno, "kyverno", "/kubectl-kyverno", "Kyverno's command line")
	if args[0] != "check" {
		flags.StringVar(&s.provider, "provider", providerGitea, "kind of the forge: gitea or github")
		flags.StringVar(&s.forge, "forge", "", "URL of the forge, or of GitHub's API")
		flags.StringVar(&s.organization, "organization", "", "organization that owns the repositories")
		flags.StringVar(&s.account, "account", "guard", "account to sign in with to Gitea")
		flags.StringVar(&s.secrets, "secrets", "/etc/guard/secrets", "folder with the files password, which is a token of GitHub's, and hook")
		flags.StringVar(&s.certificate, "certificate", "/etc/guard/certificate", "folder with tls.crt and tls.key, which it shows")
		flags.StringVar(&s.authority, "authority", "/etc/guard/authority/ca.crt", "certificates that the forge's is signed by one of")
		flags.StringVar(&s.listen, "listen", ":8443", "address to serve the forge's events at")
	}
	switch args[0] {
	case "serve":
		flags.StringVar(&s.rules, "rules", "/etc/guard/rules/rules.tar.zst", "archive of the rules")
		flags.StringVar(&s.metrics, "metrics", ":9090", "address to serve what is counted at")
	case "follow":
		flags.StringVar(&s.follow, "settings", "/etc/guard/follower/settings.json", "file with what to follow")
		flags.StringVar(&s.gateway, "gateway", "/etc/guard/gateway/url", "file with the URL that people ask endpoints at")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	unpacked := filepath.Join(s.scratch, "rules")
	switch args[0] {
	case "check":
		// A check allocates a lot and ends soon.
		debug.SetGCPercent(400)
		rules, err := guard.OpenRules(unpacked)
		if err != nil {
			return err
		}
		return reviewer.RunJob(ctx, rules, s.kyverno, os.Stdin, os.Stdout)
	case "follow":
		return follow(ctx, log, s)
	case "serve":
		return serve(ctx, log, s, unpacked)
	}
	return fmt.Errorf("%q is neither serve, check nor follow", args[0])
}

// Kinds of forges.
const (
	providerGitea  = "gitea"
	providerGitHub = "github"
)

// newForge is what is asked, with a token of that name where it makes one.
func (s settings) newForge(log *slog.Logger, token string) (forgeapi.Forge, error) {
	switch {
	case s.organization == "":
		return nil, errors.New("serve and follow need -organization")
	case s.provider == providerGitHub:
		return github.New(log, github.Args{URL: s.forge, Organization: s.organization, Token: s.password})
	case s.provider != providerGitea:
		return nil, fmt.Errorf("-provider %q is neither %s nor %s", s.provider, providerGitea, providerGitHub)
	case s.forge == "":
		return nil, errors.New("serve and follow need -forge")
	}
	return gitea.New(s.forge, s.organization, s.account, token, s.password, s.trusted), nil
}

func serve(ctx context.Context, log *slog.Logger, s settings, unpacked string) error {
	archive, err := os.ReadFile(s.rules)
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	if err := guard.Unpack(archive, unpacked); err != nil {
		return err
	}
	rules, err := guard.OpenRules(unpacked)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name, err := nameOf(self, archive)
	if err != nil {
		return err
	}
	forge, err := s.newForge(log, "guard")
	if err != nil {
		return err
	}
	r := reviewer.New(log, forge, rules.Repositories(), name,
		reviewer.Process(self, "check", "-scratch", s.scratch, "-kyverno", s.kyverno))
	log.Info("reviewing", "repositories", rules.Repositories(), "rules", name)
	// What unpacking took is not needed again.
	archive = nil
	debug.FreeOSMemory()
	counted, err := net.Listen("tcp", s.metrics)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.Metrics(), promhttp.HandlerOpts{}))
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	defer h.Close()
	go func() {
		if err := h.Serve(counted); !errors.Is(err, http.ErrServerClosed) {
			log.Error("what is counted is served no more", "error", err)
		}
	}()
	return s.answer(ctx, log, r.Handler(s.hook), r.Run)
}

// answer serves the forge's events while work goes on, until ctx ends.
func (s settings) answer(ctx context.Context, log *slog.Logger, handler http.Handler, work func(context.Context)) error {
	certificate, err := keypair.LoadServed(s.certificate, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	h := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.Get},
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- h.ServeTLS(listener, "", "") }()
	ended := make(chan struct{})
	go func() { work(ctx); close(ended) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ended:
		return h.Close()
	}
}

// Read each time: they may be changed.
func (s settings) password() (string, error)        { return secret(s.secrets, "password") }
func (s settings) hook() (string, error)            { return secret(s.secrets, "hook") }
func (s settings) trusted() (*x509.CertPool, error) { return authorities(s.authority) }

// nameOf tells apart what checks go by: this program and the rules.
func nameOf(self string, archive []byte) (string, error) {
	program, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer program.Close()
	h := sha256.New()
	if _, err := io.Copy(h, program); err != nil {
		return "", err
	}
	h.Write(archive)
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the authority in %s is no certificate in PEM form", file)
	}
	return pool, nil
}

func secret(folder, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "", fmt.Errorf("read the secret %s: %w", name, err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", fmt.Errorf("the secret %s is empty", name)
	}
	return strings.TrimSpace(string(text)), nil
}
