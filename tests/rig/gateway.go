package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Answer is what an HTTP server said.
type Answer struct {
	Code   int
	Body   string
	Header http.Header
}

// direct never goes through a proxy: the platform is on this host's own network.
var direct = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 15 * time.Second}

// Ask posts a JSON body to a URL under a host name that need not resolve, with a
// key unless that is empty.
func Ask(ctx context.Context, url, host, key, body string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", url, err)
	}
	request.Host = host
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := direct.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s as %s: %w", url, host, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s as %s: %w", url, host, err)
	}
	return Answer{Code: response.StatusCode, Body: string(answer), Header: response.Header}, nil
}
