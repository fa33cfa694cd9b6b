package progress

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Renderer shows snapshots to a person. Done shows the last one.
type Renderer interface {
	Show(Snapshot)
	Done(Snapshot)
}

// Watch shows the tracker's state in intervals until the returned function is
// called, which shows the last state and returns it.
func Watch(ctx context.Context, t *Tracker, r Renderer, interval time.Duration) func() Snapshot {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.Show(t.Snapshot())
			}
		}
	}()
	return func() Snapshot {
		cancel()
		<-ended
		s := t.Snapshot()
		r.Done(s)
		return s
	}
}

// Plain writes a line when a phase begins and when it is done, and one now and
// then in between, for logs.
type Plain struct {
	w        io.Writer
	every    time.Duration
	lastLine time.Duration
	begun    map[string]bool
	finished map[string]bool
}

// NewPlain writes to w; every is the longest silence while something runs.
func NewPlain(w io.Writer, every time.Duration) *Plain {
	return &Plain{w: w, every: every, begun: map[string]bool{}, finished: map[string]bool{}}
}

// Show writes what changed since the last call.
func (p *Plain) Show(s Snapshot) {
	for _, ph := range s.Phases {
		switch {
		case ph.Failed && !p.finished[ph.Name]:
			p.finished[ph.Name] = true
			p.line(s, "%-16s failed after %s%s", ph.Name, seconds(ph.Took), resources(ph))
		case ph.Complete() && !p.finished[ph.Name]:
			p.finished[ph.Name] = true
			if ph.Changed > 0 || ph.Task {
				p.line(s, "%-16s done in %s%s", ph.Name, seconds(ph.Took), resources(ph))
			}
		case ph.Running && !p.begun[ph.Name]:
			p.begun[ph.Name] = true
			delete(p.finished, ph.Name)
			p.line(s, "%-16s %s", ph.Name, ph.Doing)
		}
	}
	if s.Elapsed-p.lastLine < p.every {
		return
	}
	for _, ph := range s.Phases {
		if ph.Running {
			p.line(s, "%-16s %s%s", ph.Name, fraction(ph), ph.Doing)
		}
	}
}

// Done writes what is left to say.
func (p *Plain) Done(s Snapshot) {
	p.lastLine = s.Elapsed
	p.Show(s)
}

func (p *Plain) line(s Snapshot, format string, args ...any) {
	p.lastLine = s.Elapsed
	fmt.Fprintf(p.w, "%8s %9s  %s\n", seconds(s.Elapsed), fmt.Sprintf("%d/%d", s.Done, s.Of),
		strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// Live redraws one line a phase at the bottom of a terminal.
type Live struct {
	w     io.Writer
	width func() int
	drawn int
	frame int
}

// NewLive writes to the terminal w, width returns its columns.
func NewLive(w io.Writer, width func() int) *Live { return &Live{w: w, width: width} }

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// Show redraws.
func (l *Live) Show(s Snapshot) {
	l.frame++
	lines := l.lines(s)
	lines = append(lines, fmt.Sprintf("%s %d of %d resources, %s", spinner[l.frame%len(spinner)], s.Done, s.Of, seconds(s.Elapsed)))
	l.draw(lines)
}

// Done leaves the finished phases on the screen.
func (l *Live) Done(s Snapshot) {
	l.draw(l.lines(s))
	l.drawn = 0
}

func (l *Live) lines(s Snapshot) []string {
	var lines []string
	for _, p := range s.Phases {
		switch {
		case p.Failed:
			lines = append(lines, fmt.Sprintf("✗ %-16s failed after %s%s", p.Name, seconds(p.Took), resources(p)))
		case p.Running:
			lines = append(lines, fmt.Sprintf("… %-16s %s%s %s", p.Name, fraction(p), seconds(p.Took), p.Doing))
		case p.Complete() && (p.Changed > 0 || p.Task):
			lines = append(lines, fmt.Sprintf("✓ %-16s %s%s", p.Name, seconds(p.Took), resources(p)))
		case p.Done < p.Of && p.Took > 0:
			lines = append(lines, fmt.Sprintf("· %-16s %d/%d", p.Name, p.Done, p.Of))
		}
	}
	return lines
}

func (l *Live) draw(lines []string) {
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, line := range lines {
		b.WriteString(clip(line, l.width()) + "\n")
	}
	l.drawn = len(lines)
	io.WriteString(l.w, b.String()) //nolint:errcheck // a terminal that went away is not worth failing for
}

func clip(line string, width int) string {
	runes := []rune(line)
	if width <= 1 || len(runes) < width {
		return line
	}
	return string(runes[:width-2]) + "…"
}

// resources of a phase, in brackets after a time.
func resources(p Phase) string {
	if p.Task {
		return ""
	}
	return fmt.Sprintf(" (%d of %d resources)", p.Done, p.Of)
}

// fraction of a phase's resources, before what it does.
func fraction(p Phase) string {
	if p.Task {
		return ""
	}
	return fmt.Sprintf("%d/%d ", p.Done, p.Of)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
