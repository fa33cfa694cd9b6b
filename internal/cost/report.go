package cost

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/api/resource"
)

// column is one figure of a Sum.
type column struct {
	title string
	// least and most are the figure at the fewest and the most replicas, for
	// people.
	figure func(Load) figure
}

// figure is a value with its sign, for people.
type figure struct {
	text string
	sign int
}

// columns are the figures shown; GPUs only where there are some.
func (d *Delta) columns() []column {
	out := []column{
		{"pods", func(l Load) figure { return quantityFigure(quantityOf(l.Pods)) }},
		{"CPU requested", func(l Load) figure { return quantityFigure(l.Requests.CPU) }},
		{"CPU limit", func(l Load) figure { return quantityFigure(l.Limits.CPU) }},
		{"memory requested", func(l Load) figure { return quantityFigure(l.Requests.Memory) }},
		{"memory limit", func(l Load) figure { return quantityFigure(l.Limits.Memory) }},
	}
	if !d.Total.Before.AtMax.Requests.GPU.IsZero() || !d.Total.After.AtMax.Requests.GPU.IsZero() {
		out = append(out, column{"GPU", func(l Load) figure { return quantityFigure(l.Requests.GPU) }})
	}
	return append(out, column{d.Currency + " a month", func(l Load) figure { return money(l.Monthly) }})
}

func quantityFigure(q resource.Quantity) figure { return figure{q.String(), q.Sign()} }

// money is rounded to two places; what rounds to nothing is nothing.
func money(v float64) figure {
	text := fmt.Sprintf("%.2f", v)
	switch {
	case strings.Trim(text, "-0.") == "":
		return figure{"0.00", 0}
	case v < 0:
		return figure{text, -1}
	}
	return figure{text, 1}
}

// span is a figure from the fewest to the most replicas.
func (c column) span(s Sum) string {
	least, most := c.figure(s.AtMin).text, c.figure(s.AtMax).text
	switch {
	case s.Unbounded:
		return least + "..∞"
	case least == most:
		return least
	}
	return least + ".." + most
}

// change is a difference from the fewest to the most replicas, with its sign;
// "" if there is none.
func (c column) change(e Change) string {
	if c.span(e.Before) == c.span(e.After) {
		return ""
	}
	least, most := signed(c.figure(e.Delta.AtMin)), signed(c.figure(e.Delta.AtMax))
	switch {
	case e.After.Unbounded && !e.Before.Unbounded:
		most = "+∞"
	case e.Before.Unbounded && !e.After.Unbounded:
		most = "-∞"
	}
	if least == most {
		return least
	}
	return least + ".." + most
}

func signed(f figure) string {
	if f.sign > 0 {
		return "+" + f.text
	}
	return f.text
}

// count is how many endpoints are in a state.
func (d *Delta) count(s State) int64 {
	n := int64(0)
	for _, e := range d.Endpoints {
		if e.State == s {
			n++
		}
	}
	return n
}

func (d *Delta) unchanged() string {
	n := d.count(Unchanged)
	monthly := column{figure: func(l Load) figure { return money(l.Monthly) }}
	return fmt.Sprintf("Nothing changes: %s, %s %s a month.", plural(n, "endpoint"), d.Currency, monthly.span(d.Total.After))
}

func (d *Delta) footnote() string {
	return fmt.Sprintf("Figures go from the fewest to the most replicas. Priced are requests, %g hours a month; traffic, volumes and the extra pods of a rollout are not.", d.HoursPerMonth)
}

// title is an endpoint's name and what happened to it.
func (e Change) title(name func(string) string) string {
	switch e.State {
	case Renamed:
		return fmt.Sprintf("%s (renamed from %s)", name(e.Endpoint), name(e.From))
	case Unchanged:
		return name(e.Endpoint)
	}
	return fmt.Sprintf("%s (%s)", name(e.Endpoint), e.State)
}

// notes are the notes of the endpoints that change.
func (d *Delta) notes() []string {
	var out []string
	for _, e := range d.Endpoints {
		if e.State == Unchanged || e.State == Removed {
			continue
		}
		for _, u := range e.Workloads {
			for _, note := range u.Notes {
				out = append(out, fmt.Sprintf("%s: %s: %s", e.Endpoint, u, note))
			}
		}
	}
	return out
}

// largest are at most n endpoints that change, those whose price changes most, by
// name.
func (d *Delta) largest(n int) []Change {
	all := slices.DeleteFunc(slices.Clone(d.Endpoints), func(e Change) bool { return e.State == Unchanged })
	if len(all) <= n {
		return all
	}
	size := func(e Change) float64 { return max(math.Abs(e.Delta.AtMin.Monthly), math.Abs(e.Delta.AtMax.Monthly)) }
	slices.SortStableFunc(all, func(a, b Change) int { return cmp.Compare(size(b), size(a)) })
	all = all[:n]
	slices.SortFunc(all, func(a, b Change) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return all
}

// mostLines keeps a comment below the 65,536 characters it may have.
const mostLines = 40

// Markdown is a section for a pull request comment. It does not end in an empty
// line. Of many endpoints it shows those whose price changes most.
func (d *Delta) Markdown() string {
	var b strings.Builder
	b.WriteString("### Cost and quota\n\n")
	if d.Total.State == Unchanged {
		b.WriteString(d.unchanged() + "\n")
	} else {
		d.markdownTable(&b)
	}
	bullets := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n**%s**\n\n", title)
		for _, line := range lines[:min(len(lines), mostLines)] {
			fmt.Fprintf(&b, "- %s\n", escape(line))
		}
		if more := len(lines) - mostLines; more > 0 {
			fmt.Fprintf(&b, "- and %d more\n", more)
		}
	}
	var flags []string
	for _, f := range d.Flags {
		flags = append(flags, f.Message)
	}
	bullets("Look at this", append(flags, d.Exceeded()...))
	bullets("Not in these figures", d.notes())
	bullets("Not readable before this change, so counted as nothing", d.Unreadable)
	if d.Total.State != Unchanged {
		d.markdownQuotas(&b)
	}
	return b.String()
}

func (d *Delta) markdownTable(b *strings.Builder) {
	columns := d.columns()
	b.WriteString("| endpoint |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	row := func(title string, e Change, delta bool) {
		fmt.Fprintf(b, "| %s |", title)
		for _, c := range columns {
			cell := c.span(e.After)
			if change := c.change(e); change != "" {
				cell = c.span(e.Before) + " → " + cell
				if delta {
					cell += "<br>**" + change + "**"
				}
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	shown := d.largest(mostLines)
	for _, e := range shown {
		row(e.title(code), e, e.State == Changed)
	}
	row("**total**", d.Total, true)
	b.WriteString("\n" + d.footnote())
	if more := int64(len(d.Endpoints)-len(shown)) - d.count(Unchanged); more > 0 {
		fmt.Fprintf(b, " %s with smaller changes not listed.", plural(more, "endpoint"))
	}
	if n := d.count(Unchanged); n > 0 {
		fmt.Fprintf(b, " %s without a change not listed.", plural(n, "endpoint"))
	}
	b.WriteString("\n")
}

func (d *Delta) markdownQuotas(b *strings.Builder) {
	for _, h := range d.Quotas {
		fmt.Fprintf(b, "\n**Quota of tenant %s after this change**\n\n", code(h.Tenant))
		b.WriteString("| resource | quota | used | left |\n|---|--:|--:|--:|\n")
		for _, r := range h.Rows {
			left := r.left()
			if r.LeftAtMin.Sign() < 0 || r.LeftAtMax.Sign() < 0 {
				left = "**" + left + "**"
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", r.Resource, r.Quota.String(), r.used(), left)
		}
	}
}

func (r QuotaRow) used() string { return quotaSpan(r.UsedAtMin, r.UsedAtMax, r.Unbounded, "∞") }

func (r QuotaRow) left() string { return quotaSpan(r.LeftAtMin, r.LeftAtMax, r.Unbounded, "0") }

// quotaSpan ends where growth without a bound ends, unless even the fewest
// replicas are too much.
func quotaSpan(least, most resource.Quantity, unbounded bool, end string) string {
	if unbounded && most.Sign() >= 0 {
		return least.String() + ".." + end
	}
	if least.Cmp(most) == 0 {
		return least.String()
	}
	return least.String() + ".." + most.String()
}

// Text is the same for a terminal.
func (d *Delta) Text() string {
	var b bytes.Buffer
	if d.Total.State == Unchanged {
		fmt.Fprintln(&b, d.unchanged())
	} else {
		d.textTable(&b)
	}
	for _, f := range d.Flags {
		fmt.Fprintln(&b, "flag: "+f.Message)
	}
	for _, s := range d.Exceeded() {
		fmt.Fprintln(&b, "flag: "+s)
	}
	for _, s := range d.notes() {
		fmt.Fprintln(&b, "note: "+s)
	}
	for _, s := range d.Unreadable {
		fmt.Fprintln(&b, "counted as nothing before: "+s)
	}
	return b.String()
}

func (d *Delta) textTable(b *bytes.Buffer) {
	plain := func(s string) string { return s }
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	block := func(title string, e Change) {
		fmt.Fprintf(w, "%s\tBEFORE\tAFTER\tCHANGE\n", title)
		for _, c := range d.columns() {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", c.title, c.span(e.Before), c.span(e.After), c.change(e))
		}
	}
	for _, e := range d.Endpoints {
		if e.State != Unchanged {
			block(e.title(plain), e)
		}
	}
	block("total", d.Total)
	for _, h := range d.Quotas {
		fmt.Fprintf(w, "quota of %s\tQUOTA\tUSED\tLEFT\n", h.Tenant)
		for _, r := range h.Rows {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", r.Resource, r.Quota.String(), r.used(), r.left())
		}
	}
	_ = w.Flush() // a buffer does not fail
	fmt.Fprintln(b, d.footnote())
	if n := d.count(Unchanged); n > 0 {
		fmt.Fprintf(b, "%s without a change not listed.\n", plural(n, "endpoint"))
	}
}

// code is a name that comes from a document, as code that cannot end early.
func code(s string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "/", "\n", " ").Replace(s) + "`"
}

// escape makes text from documents mean nothing in Markdown.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "\r", " ", "\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]",
		"<", "&lt;", ">", "&gt;", "|", "\\|", "@", "&#64;", "#", "&#35;", "\n", " ").Replace(s)
}
