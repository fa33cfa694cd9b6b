// Package dashboards serves pages with plots of what Prometheus measures. What they show
// is written in files: whoever reads a page chooses among them and cannot ask for
// anything else.
package dashboards

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Board is one page.
type Board struct {
	// Name is that of its file, and the page's path.
	Name  string `json:"-"`
	Title string `json:"title"`
	// Text says what it is about, in a sentence.
	Text   string  `json:"text"`
	Panels []Panel `json:"panels"`
}

// Panel is one plot.
type Panel struct {
	Title string `json:"title"`
	// Unit is one of Units.
	Unit string `json:"unit"`
	// Help says what is counted how, where the title does not.
	Help string `json:"help,omitempty"`
	// Empty says why there may be nothing to show. A panel without it always has data
	// on a platform that is well.
	Empty string `json:"empty,omitempty"`
	// Over is what a step of more than five minutes shows of the time in it: the
	// average, or max, the most.
	Over   string   `json:"over,omitempty"`
	Series []Series `json:"series"`
}

// Series are the lines that an expression makes.
type Series struct {
	// Expr is PromQL.
	Expr string `json:"expr"`
	// Legend of a line, with {NAME} where the value of a label goes.
	Legend string `json:"legend"`
}

// Units that the page knows how to write.
var Units = []string{"requests/s", "ratio", "seconds", "cores", "bytes", "pods", "money/day", "count", "days", "yes"}

// overs are what Panel.Over may be.
var overs = []string{"", "avg", "max"}

// Load reads every *.yaml in the root of a file system. All that is wrong is said at
// once, with file and field.
func Load(files fs.FS) ([]Board, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there are no dashboards: no file is called NAME.yaml")
	}
	var boards []Board
	var errs []error
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		b := Board{Name: strings.TrimSuffix(path.Base(name), ".yaml")}
		if err := yaml.UnmarshalStrict(text, &b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		for _, problem := range b.problems() {
			errs = append(errs, fmt.Errorf("%s: %s", name, problem))
		}
		boards = append(boards, b)
	}
	return boards, errors.Join(errs...)
}

func (b Board) problems() []string {
	var all []string
	bad := func(format string, values ...any) { all = append(all, fmt.Sprintf(format, values...)) }
	if b.Title == "" {
		bad("title is empty: write what the page is called")
	}
	if len(b.Panels) == 0 {
		bad("panels is empty: a page without plots shows nothing")
	}
	titles := map[string]bool{}
	for i, p := range b.Panels {
		at := fmt.Sprintf("panels[%d]", i)
		switch {
		case p.Title == "":
			bad("%s.title is empty", at)
		case titles[p.Title]:
			bad("%s.title is %q, as another panel's is: write another one", at, p.Title)
		}
		titles[p.Title] = true
		if !slices.Contains(Units, p.Unit) {
			bad("%s.unit is %q%s: write one of %s", at, p.Unit, nearest.Hint(p.Unit, Units), strings.Join(Units, ", "))
		}
		if !slices.Contains(overs, p.Over) {
			bad("%s.over is %q: write avg or max, or leave it out", at, p.Over)
		}
		if len(p.Series) == 0 {
			bad("%s.series is empty: write an expr and its legend", at)
		}
		for j, s := range p.Series {
			if strings.TrimSpace(s.Expr) == "" {
				bad("%s.series[%d].expr is empty", at, j)
			}
			if s.Legend == "" {
				bad("%s.series[%d].legend is empty: nobody could tell its lines apart", at, j)
			}
		}
	}
	return all
}

// label is the legend of a line with these labels.
func (s Series) label(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(s.Legend)
}
