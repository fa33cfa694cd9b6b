package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table writes the results for people.
func Table(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tTARGET\tMIN\tMEDIAN\tP95\tMAX\tN\tRESULT")
	for _, r := range results {
		verdict := "pass"
		if !r.Pass {
			verdict = "FAIL"
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.What, r.Statistic, amount(r.Limit, r.Unit),
			cell(r, r.Min), cell(r, r.Median), cell(r, r.P95), cell(r, r.Max), len(r.Samples), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", r.Name, r.Error)
		}
		if r.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", r.Name, r.Note)
		}
	}
	return nil
}

func cell(r Result, v float64) string {
	if len(r.Samples) == 0 {
		return "-"
	}
	return amount(v, r.Unit)
}

func amount(v float64, unit string) string { return fmt.Sprintf("%.3g %s", v, unit) }
