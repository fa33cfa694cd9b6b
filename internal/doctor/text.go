package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	b := &strings.Builder{}
	for _, done := range r.Repairs {
		outcome := fmt.Sprintf("done in %.0fs", done.Seconds)
		if done.Error != "" {
			outcome = "this did not help: " + done.Error
		}
		fmt.Fprintf(b, "repair  %s\n        %s (%s)\n", done.Did, outcome, done.Detector)
	}
	if len(r.Repairs) > 0 {
		b.WriteString("\n")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(b, "found   %s (%s)\n", f.Says, f.Detector)
		fmt.Fprintf(b, "        seen: %s: %s\n", f.Object, f.Saw)
		fmt.Fprintf(b, "        because: %s\n", f.Because)
		if len(f.Explains) > 0 {
			fmt.Fprintf(b, "        explains: %s\n", strings.Join(f.Explains, "; "))
		}
		if f.Repair != "" {
			fmt.Fprintf(b, "        repair: `neuroscale doctor --fix` will %s\n", f.Repair)
		}
		fmt.Fprintf(b, "        by hand: %s\n", f.ByHand)
	}
	for _, x := range r.Blind {
		fmt.Fprintf(b, "blind   %s could not look: %s\n", x.Detector, x.Why)
	}
	if len(r.Untried) > 0 {
		fmt.Fprintf(b, "untried %d detectors, which need what is broken above\n", len(r.Untried))
	}
	if len(r.Findings)+len(r.Blind)+len(r.Untried) > 0 {
		b.WriteString("\n")
	}
	switch {
	case r.Well:
		fmt.Fprintf(b, "nothing is wrong with stack %s that %d detectors know of (%.1fs)\n", r.Stack, r.Looked, r.Seconds)
	default:
		fmt.Fprintf(b, "stack %s: %d found, %d of %d detectors could not look (%.1fs)\n", r.Stack, len(r.Findings), len(r.Blind)+len(r.Untried), r.Looked+len(r.Untried), r.Seconds)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
