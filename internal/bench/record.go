package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Where the record of a repository is, and the page that shows it.
const (
	RecordFile = "docs/slo.json"
	PageFile   = "README.md"
)

// The record's table on its page stands between these lines.
const (
	tableBegin = "<!-- slo:begin (written by `make bench` from docs/slo.json) -->\n"
	tableEnd   = "<!-- slo:end -->\n"
)

// Record is what was measured last of every promise.
type Record struct {
	Promises []Promise `json:"promises"`
}

// Promise is a target and what was measured of it last; N is 0 if nothing was.
type Promise struct {
	ID        string  `json:"id"`
	Text      string  `json:"text"`
	Target    float64 `json:"target"`
	Unit      string  `json:"unit"`
	Statistic string  `json:"statistic"`
	P50       float64 `json:"p50"`
	P95       float64 `json:"p95"`
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
	N         int     `json:"n"`
	Kept      bool    `json:"kept"`
	Note      string  `json:"note,omitempty"`
	Measured  *Origin `json:"measured,omitempty"`
}

// Origin is when and where something was measured.
type Origin struct {
	// Date is a day, such as 2006-01-02.
	Date string `json:"date"`
	// Commit of the checkout; it ends in -dirty if there were changes.
	Commit  string `json:"commit"`
	Machine string `json:"machine"`
	// BusyCores is how many were at work before anything was measured; nil if nobody
	// has looked.
	BusyCores *float64 `json:"busyCores,omitempty"`
}

// ReadRecord reads a record strictly.
func ReadRecord(r io.Reader) (*Record, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var out Record
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: %w", RecordFile, err)
	}
	return &out, nil
}

// Update has every promise once, in order, with what is in the results or else was
// measured before. What could not be measured stays as it was.
func (r *Record) Update(results []Result, origin Origin) {
	before := map[string]Promise{}
	for _, p := range r.Promises {
		before[p.ID] = p
	}
	var promises []Promise
	for _, t := range slices.Concat(Targets, ByHand) {
		p := before[t.Name]
		p.ID, p.Text, p.Target, p.Unit, p.Statistic = t.Name, t.What, t.Limit, t.Unit, t.Statistic
		for _, result := range results {
			if result.Name == t.Name && result.Error == "" && len(result.Samples) > 0 {
				p.P50, p.P95, p.N = round(result.Median), round(result.P95), len(result.Samples)
				p.Min, p.Max = round(result.Min), round(result.Max)
				p.Kept, p.Note, p.Measured = result.Pass, result.Note, &origin
			}
		}
		promises = append(promises, p)
	}
	r.Promises = promises
}

// round is to four digits that count.
func round(v float64) float64 {
	out, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return out
}

// Keep brings the record of the repository at root up to date, and its page.
func Keep(root string, results []Result, origin Origin) error {
	file := filepath.Join(root, filepath.FromSlash(RecordFile))
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the record of earlier measurements: %w", err)
	}
	record, err := ReadRecord(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	record.Update(results, origin)
	page := filepath.Join(root, PageFile)
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page that shows the record: %w", err)
	}
	shown, err := record.Show(string(text))
	if err != nil {
		return err
	}
	if raw, err = json.MarshalIndent(record, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(file, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	if err := os.WriteFile(page, []byte(shown), 0o644); err != nil {
		return fmt.Errorf("write the page that shows the record: %w", err)
	}
	return nil
}

// Show is a page with the record's table in it.
func (r *Record) Show(page string) (string, error) {
	before, rest, found := strings.Cut(page, tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return "", fmt.Errorf("%s has no lines %q and %q, between which the table of what was measured goes", PageFile, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return before + tableBegin + r.Markdown() + tableEnd + after, nil
}

// Markdown is the record as a table, with where and when it was measured.
func (r *Record) Markdown() string {
	var out strings.Builder
	fmt.Fprintln(&out, "| what | promised | p50 | p95 | max | n | measured |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|")
	var origins []string
	for _, p := range r.Promises {
		if p.Measured == nil || p.N == 0 {
			fmt.Fprintf(&out, "| %s | %s | | | | | not yet |\n", p.Text, p.promised())
			continue
		}
		origin := p.Measured.String()
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
		mark := fmt.Sprint(slices.Index(origins, origin) + 1)
		if !p.Kept {
			mark = "**missed** " + mark
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %d | %s |\n", p.Text, p.promised(),
			amount(p.P50, p.Unit), amount(p.P95, p.Unit), amount(p.Max, p.Unit), p.N, mark)
	}
	fmt.Fprintln(&out)
	for i, origin := range origins {
		fmt.Fprintf(&out, "%d. %s\n", i+1, origin)
	}
	return out.String()
}

// promised is the limit, and of what it is one.
func (p Promise) promised() string {
	text := amount(p.Target, p.Unit)
	switch p.Statistic {
	case "median":
		return text + " (p50)"
	case "p95":
		return text + " (p95)"
	case "least":
		return "at least " + text
	}
	return text
}

func (o Origin) String() string {
	text := fmt.Sprintf("%s at `%s`, %s", o.Date, o.Commit, o.Machine)
	if o.BusyCores != nil {
		text += fmt.Sprintf(", of which %.1f were busy before", *o.BusyCores)
	}
	return text
}
