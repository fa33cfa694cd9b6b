package dashboards

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// patience with Prometheus for a whole page.
	patience = 20 * time.Second
	// asks at once, of Prometheus' eight.
	asks = 3
	// fresh is for how long an answer is not asked for again.
	fresh = 5 * time.Second
	// shown lines of a panel; more would be a thicket.
	shown = 30
)

// View is a board as somebody looks at it.
type View struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	// Currency is the one that costs are in.
	Currency string `json:"currency"`
	// Times of all values, in seconds since 1970.
	Times []int64 `json:"times"`
	// Tenants and Endpoints are all there are on the board, whatever is chosen.
	Tenants   []string    `json:"tenants"`
	Endpoints []string    `json:"endpoints"`
	Panels    []PanelView `json:"panels"`
}

// PanelView is a panel with what there is to show.
type PanelView struct {
	Title string `json:"title"`
	Unit  string `json:"unit"`
	Help  string `json:"help,omitempty"`
	Empty string `json:"empty,omitempty"`
	// Error says why there is nothing.
	Error string     `json:"error,omitempty"`
	Lines []LineView `json:"lines"`
	// More is how many lines are not shown.
	More int `json:"more,omitempty"`

	labels []map[string]string // of Lines
}

// LineView is a line of a plot. A value that is not known is null.
type LineView struct {
	Label  string     `json:"label"`
	Values []*float64 `json:"values"`
}

// Choice is what of a board is looked at: lines that have these labels, and those that
// do not have such labels at all.
type Choice struct{ Tenant, Endpoint string }

func (c Choice) has(labels map[string]string) bool {
	for name, want := range map[string]string{"tenant": c.Tenant, "endpoint": c.Endpoint} {
		if is, there := labels[name]; there && want != "" && is != want {
			return false
		}
	}
	return true
}

// looker asks Prometheus for boards, each range of one at most every few seconds
// however many people look.
type looker struct {
	prometheus Prometheus
	currency   string
	now        func() time.Time

	mu   sync.Mutex
	seen map[string]*sight
}

// sight is what was seen last.
type sight struct {
	mu   sync.Mutex
	at   time.Time
	view *View
}

func (l *looker) look(ctx context.Context, b Board, r Range, c Choice) *View {
	l.mu.Lock()
	key := b.Name + " " + r.Name
	if l.seen == nil {
		l.seen = map[string]*sight{}
	}
	s := l.seen[key]
	if s == nil {
		s = &sight{}
		l.seen[key] = s
	}
	l.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	if now := l.now(); s.view == nil || now.Sub(s.at) > fresh {
		// Who asked first may leave: others wait for the same.
		s.view = l.ask(context.WithoutCancel(ctx), b, r, now)
		s.at = now
	}
	return s.view.choose(c)
}

// ask makes a view of everything.
func (l *looker) ask(ctx context.Context, b Board, r Range, now time.Time) *View {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v := &View{Title: b.Title, Text: b.Text, Currency: l.currency, Times: r.times(now), Panels: make([]PanelView, len(b.Panels))}
	places := make(chan struct{}, asks)
	var all sync.WaitGroup
	for i, p := range b.Panels {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			v.Panels[i] = l.panel(ctx, p, r, v.Times)
		})
	}
	all.Wait()
	v.Tenants, v.Endpoints = v.names("tenant"), v.names("endpoint")
	return v
}

func (l *looker) panel(ctx context.Context, p Panel, r Range, times []int64) PanelView {
	v := PanelView{Title: p.Title, Unit: p.Unit, Help: p.Help, Empty: p.Empty}
	for _, s := range p.Series {
		lines, err := l.prometheus.lines(ctx, p.query(s, r), times)
		if err != nil {
			v.Error = err.Error()
			v.Lines, v.labels = nil, nil
			return v
		}
		slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(s.label(a.labels), s.label(b.labels)) })
		for _, each := range lines {
			v.Lines = append(v.Lines, LineView{s.label(each.labels), each.values})
			v.labels = append(v.labels, each.labels)
		}
	}
	return v
}

// names are the values of a label.
func (v *View) names(label string) []string {
	all := []string{}
	for _, p := range v.Panels {
		for _, labels := range p.labels {
			if value := labels[label]; value != "" {
				all = append(all, value)
			}
		}
	}
	slices.SortFunc(all, strings.Compare)
	return slices.Compact(all)
}

// choose is a copy with what is chosen.
func (v *View) choose(c Choice) *View {
	out := *v
	out.Panels = make([]PanelView, len(v.Panels))
	for i, p := range v.Panels {
		lines := []LineView{}
		for j, l := range p.Lines {
			if c.has(p.labels[j]) {
				lines = append(lines, l)
			}
		}
		p.More = max(0, len(lines)-shown)
		p.Lines, p.labels = lines[:len(lines)-p.More], nil
		out.Panels[i] = p
	}
	return &out
}
