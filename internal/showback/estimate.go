package showback

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
)

// Estimate is what an endpoint was expected to cost in a month, from its fewest to
// its most replicas.
type Estimate struct {
	Least float64 `json:"least"`
	// Most is that of the fewest replicas that answer if nothing bounds their number.
	Most      float64 `json:"most"`
	Unbounded bool    `json:"unbounded,omitempty"`
}

// Compared is an endpoint's estimate and its bill.
type Compared struct {
	Name string `json:"name"`
	Estimate
	// Billed is the cost of a month at the rate of the last hour.
	Billed float64 `json:"billed"`
	// Off is by which part of the estimate the bill is below Least or above Most; 0
	// if it is between them. One that was expected to cost nothing has none.
	Off float64 `json:"off"`
}

// Compare sets estimates, by the name of the endpoint, beside the bills. An endpoint
// without a bill has cost nothing.
func (r *Report) Compare(estimates map[string]Estimate) {
	billed := map[string]float64{}
	for _, row := range r.Rows {
		billed[row.Name] = row.Monthly
	}
	r.Estimates = []Compared{}
	for _, name := range slices.Sorted(maps.Keys(estimates)) {
		c := Compared{Name: name, Estimate: estimates[name], Billed: billed[name]}
		c.Off = c.off()
		r.Estimates = append(r.Estimates, c)
	}
}

func (c Compared) off() float64 {
	switch {
	case c.Billed < c.Least:
		return c.Billed/c.Least - 1
	case c.Billed > c.Most && !c.Unbounded && c.Most > 0:
		return c.Billed/c.Most - 1
	}
	return 0
}

// words say how good the estimate was.
func (c Compared) words() string {
	percent := math.Round(1000*c.Off) / 10
	switch {
	case percent > 0:
		return fmt.Sprintf("%.1f %% above", percent)
	case percent < 0:
		return fmt.Sprintf("%.1f %% below", -percent)
	}
	return "as estimated"
}

func (r *Report) estimatesText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nENDPOINT\tESTIMATED A MONTH\tBILLED A MONTH\t\n")
	for _, c := range r.Estimates {
		estimate := fixed(cents(c.Least), monthlyPlaces)
		if most := fixed(cents(c.Most), monthlyPlaces); c.Unbounded {
			estimate += "..∞"
		} else if most != estimate {
			estimate += ".." + most
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Name, estimate, fixed(cents(c.Billed), monthlyPlaces), c.words())
	}
	return t.Flush()
}

func cents(v float64) int64 { return int64(math.Round(v * math.Pow10(monthlyPlaces))) }
