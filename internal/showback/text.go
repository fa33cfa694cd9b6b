package showback

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// monthlyPlaces are the digits of a forecast.
const monthlyPlaces = 2

// places are the digits of a cost: days of a small endpoint are less than a cent,
// and hours of all of them.
func (r *Report) places() int {
	if r.Total.Cost < 1 {
		return 6
	}
	return 4
}

// figures are a row in whole units of its last digit, so that they add up.
type figures struct {
	name                      string
	cpu, memory, other, total int64
	monthly                   int64
}

func (f figures) plus(g figures) figures {
	return figures{f.name, f.cpu + g.cpu, f.memory + g.memory, f.other + g.other, f.total + g.total, f.monthly + g.monthly}
}

// figures are the rows of tenants, and below them their sum, platform, idle and
// total, so that every column and every row adds up to the last digit.
func (r *Report) figures() (tenants []figures, below [4]figures) {
	rows := append(slices.Clone(r.Rows), r.Platform, r.Idle)
	var parts, monthly []float64
	for _, row := range rows {
		parts = append(parts, row.CPU, row.Memory, row.Other)
		monthly = append(monthly, row.Monthly)
	}
	units, months := apportion(parts, r.places()), apportion(monthly, monthlyPlaces)
	all := make([]figures, len(rows))
	for i, row := range rows {
		cell := units[3*i : 3*i+3]
		all[i] = figures{row.Name, cell[0], cell[1], cell[2], cell[0] + cell[1] + cell[2], months[i]}
	}
	n := len(r.Rows)
	sum := figures{name: r.Tenants.Name}
	for _, f := range all[:n] {
		sum = sum.plus(f)
	}
	total := figures{name: r.Total.Name}.plus(sum).plus(all[n]).plus(all[n+1])
	return all[:n], [4]figures{sum, all[n], all[n+1], total}
}

// apportion rounds values so that their sum is the rounded sum of them: what is left
// over goes to those that rounding down took most of.
func apportion(values []float64, places int) []int64 {
	unit := math.Pow10(places)
	out := make([]int64, len(values))
	lost := make([]float64, len(values))
	order := make([]int, len(values))
	sum, given := 0.0, int64(0)
	for i, v := range values {
		down := math.Floor(v * unit)
		out[i], lost[i], order[i] = int64(down), v*unit-down, i
		sum += v * unit
		given += out[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lost[b], lost[a]) })
	for _, i := range order {
		if given >= int64(math.Round(sum)) {
			break
		}
		out[i]++
		given++
	}
	return out
}

// fixed writes whole units of the last digit.
func fixed(units int64, places int) string {
	sign := ""
	if units < 0 {
		sign, units = "-", -units
	}
	digits := fmt.Sprintf("%0*d", places+1, units)
	return sign + digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

func (f figures) texts(places int) []string {
	return []string{
		f.name, fixed(f.cpu, places), fixed(f.memory, places), fixed(f.other, places),
		fixed(f.total, places), fixed(f.monthly, monthlyPlaces),
	}
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	tenants, below := r.figures()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) {
		// Names to the left, figures to the right.
		fmt.Fprintf(t, "%s\t%s\t\n", cells[0], strings.Join(cells[1:], "\t"))
	}
	width := len(string(r.By))
	for _, f := range slices.Concat(tenants, below[:]) {
		width = max(width, len(f.name))
	}
	name := func(text string) string { return text + strings.Repeat(" ", width-len(text)) }
	line(name(strings.ToUpper(string(r.By))), "CPU", "MEMORY", "OTHER", "COST", "A MONTH")
	for i, f := range slices.Concat(tenants, below[:]) {
		if i == len(tenants) {
			line(name(""), "", "", "", "", "")
		}
		cells := f.texts(r.places())
		line(append([]string{name(cells[0])}, cells[1:]...)...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Estimates != nil {
		if err := r.estimatesText(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s, from %s to %s; a month as in the last hour%s\n", r.Currency,
		r.Start.UTC().Format("2006-01-02 15:04"), r.End.UTC().Format("2006-01-02 15:04 MST"), r.gaps())
	return err
}

// gaps says how long nothing was measured, if that was more than a moment.
func (r *Report) gaps() string {
	missing := time.Duration((1 - r.Measured) * float64(r.End.Sub(r.Start)))
	if missing < 2*time.Minute || r.Measured > 0.995 {
		return ""
	}
	return fmt.Sprintf("; for %s of it nothing was measured", missing.Round(time.Minute))
}

// CSV writes the report with a line for each row, the last of them the total. Every
// column adds up.
func (r *Report) CSV(w io.Writer) error {
	tenants, below := r.figures()
	out := csv.NewWriter(w)
	lines := [][]string{{string(r.By), "kind", "cpu", "memory", "other", "cost", "monthly", "currency", "start", "end"}}
	add := func(f figures, kind string) {
		cells := f.texts(r.places())
		if kind != "tenant" {
			cells[0] = ""
		}
		// Not what a spreadsheet would take for a formula.
		if strings.ContainsAny(cells[0][:min(1, len(cells[0]))], "=+-@") {
			cells[0] = strconv.Quote(cells[0])
		}
		lines = append(lines, slices.Concat([]string{cells[0], kind}, cells[1:],
			[]string{r.Currency, r.Start.UTC().Format(time.RFC3339), r.End.UTC().Format(time.RFC3339)}))
	}
	for _, f := range tenants {
		add(f, "tenant")
	}
	add(below[1], "platform")
	add(below[2], "idle")
	add(below[3], "total")
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}
