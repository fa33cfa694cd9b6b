package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Answer is what an HTTP server said.
type Answer struct {
	Code   int
	Body   string
	Header http.Header
}

// Asked is how one of many requests ended.
type Asked struct {
	// Who asked, and when it was, since the first began.
	Who      string
	At, Took time.Duration
	Answer   Answer
	Err      error
}

// OnAndOn has everybody ask, one request after the other with a pause between them, until
// it is stopped, and returns how all of them ended.
func OnAndOn(ctx context.Context, pause time.Duration, everybody map[string]func(context.Context) (Answer, error)) (stop func() []Asked) {
	ctx, cancel := context.WithCancel(ctx)
	var askers sync.WaitGroup
	var mu sync.Mutex
	var all []Asked
	begin := time.Now()
	for who, ask := range everybody {
		askers.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				a, err := ask(ctx)
				if ctx.Err() != nil {
					return // it was not let end
				}
				mu.Lock()
				all = append(all, Asked{who, start.Sub(begin), time.Since(start), a, err})
				mu.Unlock()
				time.Sleep(pause)
			}
		})
	}
	return func() []Asked { cancel(); askers.Wait(); return all }
}

// Direct never goes through a proxy: the platform is on this host's own network. It
// trusts the authority, in PEM form, and nobody else; connections are not kept.
func Direct(authority string) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority))
	return &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
}

// Ask posts a JSON body to a URL under a host name that need not resolve, with a
// key unless that is empty.
func Ask(ctx context.Context, client *http.Client, url, host, key, body string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", url, err)
	}
	request.Host = host
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := client.Do(request)
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
