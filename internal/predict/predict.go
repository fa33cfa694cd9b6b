// Package predict asks a model endpoint the way its users do: through the
// gateway, with the endpoint's host name.
package predict

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Example is the request every example endpoint answers.
const Example = `{"instances":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}`

// ExampleV2 is the same request in version 2 of the protocol.
const ExampleV2 = `{"inputs":[{"name":"input-0","shape":[2,4],"datatype":"FP32","data":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}]}`

// exampleNumbers are what every example endpoint answers.
var exampleNumbers = []float64{1, 1}

// maxBody bounds what is read of an answer, in bytes.
const maxBody = 16 << 20

// Request is one question to one endpoint.
type Request struct {
	// Name is the InferenceService's, and the model's.
	Name string
	// Gateway is the base URL of the gateway.
	Gateway string
	// Host is the endpoint's host name, by which the gateway routes.
	Host string
	// Key opens the endpoint; empty if the gateway asks for none.
	Key string
	// Data is the JSON body.
	Data []byte
	// V2 asks by version 2 of the protocol, the open inference protocol.
	V2 bool
}

// path of the question at the gateway.
func (r Request) path() string {
	if r.V2 {
		return "/v2/models/" + url.PathEscape(r.Name) + "/infer"
	}
	return "/v1/models/" + url.PathEscape(r.Name) + ":predict"
}

// Answer is what came back with status 200.
type Answer struct {
	Body      string  `json:"body"`
	Status    int     `json:"status"`
	LatencyMS float64 `json:"latencyMs"`
	URL       string  `json:"url"`
	Host      string  `json:"host"`
}

// IsExample is nil if the answer, in either version of the protocol, has the numbers
// that every example endpoint answers Example with.
func (a Answer) IsExample() error {
	var body struct {
		Predictions []float64 `json:"predictions"`
		Outputs     []struct {
			Data []float64 `json:"data"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil {
		return fmt.Errorf("the answer %s has no numbers: %w", strings.TrimSpace(a.Body), err)
	}
	got := body.Predictions
	if len(body.Outputs) > 0 {
		got = body.Outputs[0].Data
	}
	if !slices.Equal(got, exampleNumbers) {
		return fmt.Errorf("the answer has the numbers %v, not %v", got, exampleNumbers)
	}
	return nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	Request Request
	Status  int
	Body    string
}

func (e *StatusError) Error() string {
	body := strings.TrimSpace(e.Body)
	if len(body) > 300 {
		body = body[:300] + "..."
	}
	hint := ""
	switch {
	case e.Status == http.StatusNotFound && body == "":
		hint = ": the gateway does not know this host name (yet)"
	case e.Status == http.StatusNotFound:
		hint = ": the endpoint has no such model"
	case e.unjudged():
		hint = ": nothing answers that judges keys (yet)"
	case e.Status == http.StatusServiceUnavailable:
		hint = ": no pod is ready for it"
	}
	if body != "" {
		hint += ": " + body
	}
	return fmt.Sprintf("endpoint %s answered %d %s%s", e.Request.Name, e.Status, http.StatusText(e.Status), hint)
}

// unjudged is whether nothing told the gateway if the key is good: the request went
// nowhere.
func (e *StatusError) unjudged() bool {
	return e.Status == http.StatusForbidden && strings.TrimSpace(e.Body) == ""
}

// fromModel is whether the endpoint itself answered, not the gateway for one that
// is not there (yet).
func (e *StatusError) fromModel() bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	case http.StatusNotFound:
		return strings.TrimSpace(e.Body) != ""
	}
	return true
}

// patience is how long Ask asks for. A gateway that was connecting to what judges
// keys while that was replaced refuses until it gives that connection up: after 5 s.
const patience = 10 * time.Second

// Ask is Do, again while nothing judges keys, for patience: a request that went
// nowhere may be sent again.
func Ask(ctx context.Context, client *http.Client, r Request) (answer Answer, err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// The request itself has the time that ctx leaves, and how it ended last is the answer.
	_ = Poll(waiting, 100*time.Millisecond, func(context.Context) error {
		answer, err = Do(ctx, client, r)
		var status *StatusError
		if errors.As(err, &status) && status.unjudged() {
			return err
		}
		return nil
	})
	return answer, err
}

// Do sends the request once. Anything but status 200 is a *StatusError; a
// gateway that cannot be reached is an error that says where it was looked for.
func Do(ctx context.Context, client *http.Client, r Request) (Answer, error) {
	if !json.Valid(r.Data) {
		return Answer{}, errors.New("--data is not valid JSON: pass an object such as " + Example)
	}
	base, err := url.Parse(r.Gateway)
	if err != nil || base.Host == "" {
		return Answer{}, fmt.Errorf("the gateway %q is not a URL: use http://host:port", r.Gateway)
	}
	target := strings.TrimRight(r.Gateway, "/") + r.path()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(r.Data))
	if err != nil {
		return Answer{}, fmt.Errorf("build the request: %w", err)
	}
	req.Host = r.Host
	req.Header.Set("Content-Type", "application/json")
	if r.Key != "" {
		req.Header.Set("Authorization", "Bearer "+r.Key)
	}

	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, unreachable(r.Gateway, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Answer{}, unreachable(r.Gateway, err)
	}
	took := time.Since(start)
	if resp.StatusCode != http.StatusOK {
		return Answer{}, &StatusError{Request: r, Status: resp.StatusCode, Body: string(body)}
	}
	return Answer{
		Body: string(body), Status: resp.StatusCode, LatencyMS: float64(took.Microseconds()) / 1000, URL: target, Host: r.Host,
	}, nil
}

func unreachable(gateway string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	cause := err.Error()
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		cause = op.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		cause = "no answer in time"
	}
	return fmt.Errorf("the gateway at %s cannot be reached (%s): is the platform up, and is that address routed from here?", gateway, cause)
}

// NewClient makes an HTTP client that keeps its connections and ignores proxies:
// the gateway is next door. It trusts the servers that authority, in PEM form, has
// signed the certificates of; if that is empty, those that this machine trusts.
func NewClient(timeout time.Duration, authority string) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConnsPerHost = 16
	if authority != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(authority))
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Timeout: timeout, Transport: t}
}
