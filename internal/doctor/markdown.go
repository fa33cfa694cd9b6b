package doctor

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// written is the part of the runbook that no detector says, with the place of what
// they say.
//
//go:embed runbook.md
var written string

// place is where the detectors' entries go.
const place = "<!-- detectors -->\n"

// Markdown writes docs/runbook.md.
func Markdown(w io.Writer) error {
	before, after, found := strings.Cut(written, place)
	if !found {
		return fmt.Errorf("runbook.md has no line %q", strings.TrimSpace(place))
	}
	b := &strings.Builder{}
	for _, area := range Areas {
		fmt.Fprintf(b, "### %s\n", area.Title)
		for _, d := range area.Detectors {
			fmt.Fprintf(b, "\n#### `%s`\n", d.ID)
			fmt.Fprintf(b, "- Seen: %s\n- Because: %s\n", d.Symptom, d.Cause)
			if d.Repair == "" {
				b.WriteString("- `doctor --fix`: nothing, it only says so.\n")
			} else {
				fmt.Fprintf(b, "- `doctor --fix`: %s\n", d.Repair)
			}
			fmt.Fprintf(b, "- By hand: %s\n", d.ByHand)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, before+strings.TrimRight(b.String(), "\n")+"\n"+after)
	return err
}
