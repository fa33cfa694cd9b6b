// Package top shows how all endpoints do at the moment: what Kubernetes, the gateway
// and the bills say of each, in one screen.
package top

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
)

// Line is one endpoint. What is not known is nil.
type Line struct {
	Tenant   string            `json:"tenant"`
	Endpoint string            `json:"endpoint"`
	Ready    bool              `json:"ready"`
	Why      string            `json:"why,omitempty"`
	Replicas endpoint.Replicas `json:"replicas"`
	// RequestsPerSecond, Seconds (of 95 in 100 requests) and ErrorRatio are those of
	// the last five minutes.
	RequestsPerSecond *float64 `json:"requestsPerSecond"`
	Seconds           *float64 `json:"p95Seconds"`
	ErrorRatio        *float64 `json:"errorRatio"`
	// Daily is what it costs a day at the rate of the last hour.
	Daily *float64 `json:"costPerDay"`
}

// Screen is all of them.
type Screen struct {
	At       time.Time `json:"at"`
	Currency string    `json:"currency"`
	Lines    []Line    `json:"endpoints"`
	// Alerts are sentences, of what somebody has to look at.
	Alerts []string `json:"alerts"`
	// Missing says why figures are missing, if they are.
	Missing []string `json:"missing,omitempty"`
}

// Sources are where a screen comes from. All but Endpoints may fail: the figures are
// then missing, and the screen says why.
type Sources struct {
	Endpoints func(context.Context) ([]endpoint.Endpoint, error)
	// Samples are the values of a query, with their labels.
	Samples func(ctx context.Context, query string) ([]showback.Sample, error)
	// Costs are those of endpoints.
	Costs func(context.Context) (*showback.Report, error)
}

// queries are the rules of gitops/platform/prometheus/rules that fill a Line.
var queries = []struct {
	query string
	field func(*Line) **float64
}{
	{"endpoint:requests_per_second", func(l *Line) **float64 { return &l.RequestsPerSecond }},
	{`endpoint:latency_seconds{quantile="0.95"}`, func(l *Line) **float64 { return &l.Seconds }},
	{"endpoint:error_ratio", func(l *Line) **float64 { return &l.ErrorRatio }},
}

// hoursPerDay turns a month's cost into a day's.
const hoursPerDay = 24

// Look makes a screen. Its error is that the endpoints themselves are not known.
func Look(ctx context.Context, s Sources, now time.Time, hoursPerMonth float64) (*Screen, error) {
	all, err := s.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	screen := &Screen{At: now, Lines: []Line{}, Alerts: []string{}}
	lines := map[string]*Line{}
	for _, e := range all {
		screen.Lines = append(screen.Lines, Line{Tenant: e.Tenant, Endpoint: e.Name, Ready: e.Ready, Why: e.Why, Replicas: e.Replicas})
	}
	for i := range screen.Lines {
		lines[screen.Lines[i].Tenant+"/"+screen.Lines[i].Endpoint] = &screen.Lines[i]
	}
	missing := func(err error) {
		if !slices.Contains(screen.Missing, err.Error()) {
			screen.Missing = append(screen.Missing, err.Error())
		}
	}
	for _, q := range queries {
		samples, err := s.Samples(ctx, q.query)
		if err != nil {
			missing(err)
			continue
		}
		for _, sample := range samples {
			if l := lines[sample.Labels["tenant"]+"/"+sample.Labels["endpoint"]]; l != nil {
				*q.field(l) = &sample.Value
			}
		}
	}
	alerts, err := s.Samples(ctx, `ALERTS{alertstate="firing"}`)
	if err != nil {
		missing(err)
	}
	for _, a := range alerts {
		screen.Alerts = append(screen.Alerts, sentence(a.Labels))
	}
	slices.Sort(screen.Alerts)
	report, err := s.Costs(ctx)
	if err != nil {
		missing(err)
		return screen, nil
	}
	screen.Currency = report.Currency
	for _, row := range report.Rows {
		if l := lines[row.Name]; l != nil {
			daily := row.Monthly / hoursPerMonth * hoursPerDay
			l.Daily = &daily
		}
	}
	return screen, nil
}

// sentence is an alert's name and what it is about.
func sentence(labels map[string]string) string {
	var about []string
	for _, key := range []string{"tenant", "endpoint", "node", "condition", "job", "instance"} {
		if labels[key] != "" {
			about = append(about, key+" "+labels[key])
		}
	}
	return strings.TrimSpace(labels["alertname"] + " " + strings.Join(about, ", "))
}

// Text writes the screen for people.
func (s *Screen) Text(w io.Writer) error {
	if len(s.Lines) == 0 {
		if _, err := fmt.Fprintln(w, "there are no endpoints: push a folder apps/NAME to the endpoints repository"); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Lines) > 0 {
		fmt.Fprintf(t, "TENANT\tENDPOINT\tREADY\tPODS\tREQUESTS/S\tP95\tERRORS\t%s A DAY\n", cmp.Or(s.Currency, "COST"))
	}
	for _, l := range s.Lines {
		ready := "yes"
		if !l.Ready {
			ready = "no"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Tenant, l.Endpoint, ready, l.Replicas,
			figure(l.RequestsPerSecond, "%.2f", 1), figure(l.Seconds, "%.0f ms", 1000), figure(l.ErrorRatio, "%.1f %%", 100), figure(l.Daily, "%.4f", 1))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range s.Lines {
		if l.Why != "" {
			if _, err := fmt.Fprintf(w, "%s/%s: %s\n", l.Tenant, l.Endpoint, l.Why); err != nil {
				return err
			}
		}
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"alert: ", s.Alerts}, {"not known: ", s.Missing}} {
		for _, line := range list.lines {
			if _, err := fmt.Fprintln(w, list.title+line); err != nil {
				return err
			}
		}
	}
	return nil
}

// figure is a value times a factor; one that is not known, or is no number because
// nobody asked, is a dash.
func figure(v *float64, format string, factor float64) string {
	if v == nil || *v != *v {
		return "-"
	}
	return fmt.Sprintf(format, *v*factor)
}
