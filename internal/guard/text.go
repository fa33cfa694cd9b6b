package guard

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Formats of a report.
const (
	FormatText     = "text"
	FormatJSON     = "json"
	FormatMarkdown = "markdown"
	FormatSARIF    = "sarif"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.listed() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Level, cmpOr(f.where(), "-"), cmpOr(f.Object, "-"), f.Rule)
		fmt.Fprintf(t, "\t%s\n", f.Message)
	}
	if len(r.listed()) > 0 {
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "POLICY\tOBJECTS\tKYVERNO\tLIBRARY\tREFUSED")
	for _, p := range r.Policies {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", p.Name, p.Expected, p.Kyverno, p.Native, p.Refused)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Change != nil {
		fmt.Fprintf(w, "\n%s", r.Change.Text())
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", r.checked(), r.conclusion())
	return err
}

// listed are the findings without those that the section on costs repeats.
func (r *Report) listed() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return r.Change != nil && f.Rule == RuleChange })
}

// where is a finding's file and line.
func (f Finding) where() string {
	if f.File != "" && f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

// checked says what was looked at.
func (r *Report) checked() string {
	kyverno, library := 0, 0
	for _, p := range r.Policies {
		kyverno += p.Kyverno
		library += p.Native
	}
	text := fmt.Sprintf("Checked %s in %s: %d verdicts by Kyverno %s, %d by the API server's library, %d of %d on built-in documents right",
		plural(len(r.Documents), "object"), plural(r.Files, "file"), kyverno, r.KyvernoVersion, library, r.Probes, r.ProbesExpected)
	if r.Cluster != nil {
		text += fmt.Sprintf(", %d dry-run by the cluster", *r.Cluster)
	}
	return text + "."
}

// conclusion is passed, or what failed.
func (r *Report) conclusion() string {
	if err := r.Err(); err != nil {
		return "FAILED: " + strings.TrimPrefix(err.Error(), "guard ")
	}
	return "PASSED"
}

// Summary is the outcome in a few words.
func (r *Report) Summary() string {
	if err := r.Err(); err != nil {
		return strings.TrimPrefix(err.Error(), "guard ")
	}
	warnings := 0
	for _, f := range r.Findings {
		if f.Level == Warning {
			warnings++
		}
	}
	if warnings > 0 {
		return fmt.Sprintf("%s passed, with %s", plural(len(r.Documents), "object"), plural(warnings, "warning"))
	}
	return plural(len(r.Documents), "object") + " passed"
}
