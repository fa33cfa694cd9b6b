package dashboards

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// certificatesEvery is how often servers are asked for what they show.
	certificatesEvery = time.Minute
	handshake         = 5 * time.Second
)

// TLSServer shows a certificate at an address, HOST:PORT.
type TLSServer struct{ Name, Address string }

// ParseTLSServers reads NAME=HOST:PORT, separated by commas.
func ParseTLSServers(text string) ([]TLSServer, error) {
	var all []TLSServer
	for each := range strings.SplitSeq(text, ",") {
		if each == "" {
			continue
		}
		name, address, _ := strings.Cut(each, "=")
		host, port, err := net.SplitHostPort(address)
		if name == "" || err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%q is no NAME=HOST:PORT", each)
		}
		all = append(all, TLSServer{name, address})
	}
	return all, nil
}

var (
	endsDescription = prometheus.NewDesc("neuroscale_certificate_ends_seconds",
		"When the certificate that a server shows ends, in seconds since 1970.", []string{"server"}, nil)
	shownDescription = prometheus.NewDesc("neuroscale_certificate_shown",
		"Whether a server showed a certificate when it was asked last.", []string{"server"}, nil)
)

// Certificates knows when those that servers show end. Nobody is trusted for it, and
// nothing is asked of a server.
type Certificates struct {
	servers []TLSServer
	log     *slog.Logger

	mu   sync.Mutex
	ends map[string]time.Time // by server; zero if it did not show any
}

// NewCertificates knows nothing until Follow runs.
func NewCertificates(servers []TLSServer, log *slog.Logger) *Certificates {
	return &Certificates{servers: servers, log: log, ends: map[string]time.Time{}}
}

// Follow asks all of them every minute until ctx ends.
func (c *Certificates) Follow(ctx context.Context) {
	tick := time.NewTicker(certificatesEvery)
	defer tick.Stop()
	for {
		c.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Certificates) ask(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range c.servers {
		all.Go(func() {
			ends, err := shownBy(ctx, s.Address)
			if err != nil && ctx.Err() == nil {
				c.log.Warn("a server shows no certificate", "server", s.Name, "error", err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ends[s.Name] = ends
		})
	}
	all.Wait()
}

// shownBy is when the certificate of a server ends.
func shownBy(ctx context.Context, address string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return time.Time{}, err
	}
	// What is read is no secret, and one that is not trusted has an end as well.
	d := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return time.Time{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter, nil
}

// Describe is prometheus.Collector's.
func (c *Certificates) Describe(to chan<- *prometheus.Desc) {
	to <- endsDescription
	to <- shownDescription
}

// Collect is prometheus.Collector's.
func (c *Certificates) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(c.ends))
	for name := range c.ends {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		shown := 0.0
		if ends := c.ends[name]; !ends.IsZero() {
			shown = 1
			to <- prometheus.MustNewConstMetric(endsDescription, prometheus.GaugeValue, float64(ends.Unix()), name)
		}
		to <- prometheus.MustNewConstMetric(shownDescription, prometheus.GaugeValue, shown, name)
	}
}
