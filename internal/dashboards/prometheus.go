package dashboards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

const (
	// maxAnswer of Prometheus, in bytes.
	maxAnswer = 32 << 20
	// maxLines that one expression may make; more are an error, not a longer page.
	maxLines = 2000
)

// Prometheus by its URL.
type Prometheus struct {
	URL    string
	Client *http.Client
}

// line is what a series' expression says of one set of labels.
type line struct {
	labels map[string]string
	// values are as many as there are times; nil where nothing is known.
	values []*float64
}

// lines asks for a query's values at times, which are equally far apart.
func (p Prometheus) lines(ctx context.Context, query string, times []int64) ([]line, error) {
	first, last, step := times[0], times[len(times)-1], times[1]-times[0]
	address := p.URL + "/api/v1/query_range?" + url.Values{
		"query": {query}, "start": {fmt.Sprint(first)}, "end": {fmt.Sprint(last)}, "step": {fmt.Sprint(step)}, "limit": {fmt.Sprint(maxLines)},
	}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.Client.Do(request)
	var u *url.Error
	if errors.As(err, &u) {
		return nil, fmt.Errorf("ask Prometheus: %w", u.Err) // the rest is the whole query
	}
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Values [][2]any          `json:"values"`
			} `json:"result"`
		}
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus: %s, and no JSON of a size that is shown", response.Status)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("ask Prometheus: %s", answer.Error)
	}
	var all []line
	for _, r := range answer.Data.Result {
		l := line{labels: r.Metric, values: make([]*float64, len(times))}
		for _, v := range r.Values {
			at, isTime := v[0].(float64)
			text, isText := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if !isTime || !isText || err != nil {
				return nil, fmt.Errorf("Prometheus answered %v, which is no time and number", v)
			}
			i := (int64(at) - first) / step
			if i < 0 || i >= int64(len(times)) || math.IsNaN(value) || math.IsInf(value, 0) {
				continue
			}
			l.values[i] = &value
		}
		if slices.ContainsFunc(l.values, func(v *float64) bool { return v != nil }) {
			all = append(all, l)
		}
	}
	return all, nil
}
