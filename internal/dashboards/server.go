package dashboards

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

//go:embed page
var page embed.FS

var pageTemplate = template.Must(template.ParseFS(page, "page/page.html"))

// policy lets the page load what is served here, and nothing of it run that is written
// into the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Args of a Server.
type Args struct {
	Boards     []Board
	Prometheus Prometheus
	// Currency that costs are in.
	Currency string
	// UPlot has uPlot's files, which draw.
	UPlot fs.FS
	// Hosts it is asked at, without ports. Loopback is always one. A page of somebody
	// else's whose name points here is not.
	Hosts []string
	// Metrics are what it has for Prometheus.
	Metrics prometheus.Gatherer
	Log     *slog.Logger
}

// uPlotFiles are what the page loads.
var uPlotFiles = []string{"uPlot.iife.min.js", "uPlot.min.css"}

// New is a handler for pages at /NAME, what they show at /api/boards/NAME, and
// /healthz and /metrics. It has no accounts: who reaches it sees what every tenant's
// endpoints do.
func New(a Args) (http.Handler, error) {
	if len(a.Boards) == 0 {
		return nil, errors.New("there are no dashboards")
	}
	for _, file := range uPlotFiles {
		if _, err := fs.Stat(a.UPlot, file); err != nil {
			return nil, fmt.Errorf("uPlot: %w", err)
		}
	}
	own, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	s := &server{Args: a, looker: looker{prometheus: a.Prometheus, currency: a.Currency, now: time.Now}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/"+a.Boards[0].Name, http.StatusFound)
	})
	mux.HandleFunc("GET /{board}", s.page)
	mux.HandleFunc("GET /api/boards", s.list)
	mux.HandleFunc("GET /api/boards/{board}", s.board)
	mux.Handle("GET /static/", http.StripPrefix("/static/", noFolders(http.FileServerFS(own))))
	mux.Handle("GET /uplot/", http.StripPrefix("/uplot/", noFolders(http.FileServerFS(a.UPlot))))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if a.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{}))
	}
	return s.guarded(mux), nil
}

type server struct {
	Args
	looker looker
}

// guarded refuses who asks at another name, which a page of anybody's may give to an
// address here, and has browsers keep to what the page is made of. The kubelet's and
// Prometheus' questions show nothing of tenants.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.URL.Path != "/healthz" && r.URL.Path != "/metrics" && !s.isHost(r.Host) {
			http.Error(w, fmt.Sprintf("this is not %s: ask at 127.0.0.1, by `neuroscale forward dashboards`", r.Host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) isHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func (s *server) find(name string) (Board, bool) {
	i := slices.IndexFunc(s.Boards, func(b Board) bool { return b.Name == name })
	if i < 0 {
		return Board{}, false
	}
	return s.Boards[i], true
}

func (s *server) names() []string {
	var all []string
	for _, b := range s.Boards {
		all = append(all, b.Name)
	}
	return all
}

// list has the names of all boards.
func (s *server) list(w http.ResponseWriter, _ *http.Request) { s.send(w, s.names()) }

func (s *server) send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.Log.Debug("cannot send an answer", "error", err)
	}
}

// missing says that there is no such board.
func (s *server) missing(w http.ResponseWriter, name string) {
	http.Error(w, fmt.Sprintf("there is no dashboard %q%s: there are %s", name, nearest.Hint(name, s.names()), strings.Join(s.names(), ", ")), http.StatusNotFound)
}

func (s *server) page(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(r.PathValue("board"))
	if !ok {
		s.missing(w, r.PathValue("board"))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pageTemplate.Execute(w, map[string]any{"Board": b, "Boards": s.Boards, "Ranges": Ranges, "First": Ranges[1].Name}); err != nil {
		s.Log.Warn("cannot send the page", "error", err)
	}
}

func (s *server) board(w http.ResponseWriter, r *http.Request) {
	b, ok := s.find(r.PathValue("board"))
	if !ok {
		s.missing(w, r.PathValue("board"))
		return
	}
	query := r.URL.Query()
	name := query.Get("range")
	if name == "" {
		name = Ranges[1].Name
	}
	i := slices.IndexFunc(Ranges, func(r Range) bool { return r.Name == name })
	if i < 0 {
		http.Error(w, fmt.Sprintf("range is %q: write one of %s", name, rangeNames()), http.StatusBadRequest)
		return
	}
	s.send(w, s.looker.look(r.Context(), b, Ranges[i], Choice{Tenant: query.Get("tenant"), Endpoint: query.Get("endpoint")}))
}

func rangeNames() string {
	var all []string
	for _, r := range Ranges {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", ")
}

// noFolders serves files, and no list of them.
func noFolders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
