package check

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people: a line a check, with what was seen, and
// below one that did not pass what to do.
func (r *Report) Text(w io.Writer) error {
	for _, c := range r.Checks {
		word := string(c.Status)
		if c.Off {
			word = "off"
		}
		fmt.Fprintf(w, "%-4s  %-3s  %s (%.1fs)\n", word, c.ID, c.Title, c.Seconds)
		if c.Evidence != "" {
			fmt.Fprintf(w, "           %s\n", c.Evidence)
		}
		if len(c.Follows) > 0 {
			fmt.Fprintf(w, "           follows from %s\n", strings.Join(c.Follows, ", "))
		}
		if c.Remedy != "" {
			fmt.Fprintf(w, "           do: %s\n", c.Remedy)
		}
	}
	verdict := "is well"
	if !r.Well {
		verdict = "is not well"
	}
	_, err := fmt.Fprintf(w, "\nstack %s %s: %d passed, %d failed, %d skipped (%.1fs)\n", r.Stack, verdict, r.Passed, r.Failed, r.Skipped, r.Seconds)
	return err
}

// The elements of a JUnit file that readers of it agree on.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure,omitempty"`
		Skipped *junitMessage `xml:"skipped,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as a file that CI systems read. They take a skipped test
// for a good one, so one that is not Off is a failure there.
func (r *Report) JUnit(w io.Writer) error {
	s := junitSuite{Name: "neuroscale verify " + r.Stack, Tests: len(r.Checks), Time: fmt.Sprintf("%.3f", r.Seconds)}
	for _, c := range r.Checks {
		j := junitCase{Name: c.ID + " " + c.Title, Class: "verify." + c.ID[:1], Time: fmt.Sprintf("%.3f", c.Seconds), Output: c.Evidence}
		switch {
		case c.Status == Pass:
		case c.Off:
			s.Skipped++
			j.Skipped = &junitMessage{Message: c.Evidence}
		default:
			s.Failures++
			j.Failure = &junitMessage{Message: c.Evidence, Text: c.Remedy}
		}
		s.Cases = append(s.Cases, j)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
