package github

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// unsaid is how long GitHub asks to be waited for where it names no time.
const unsaid = time.Minute

// rateLimit is whether an answer is only that there were too many requests, and how long
// to wait.
func rateLimit(status int, header http.Header, body string, now time.Time) (time.Duration, bool) {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return 0, false
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil && header.Get("X-RateLimit-Remaining") == "0" {
		return max(time.Unix(reset, 0).Sub(now), 0), true
	}
	return unsaid, status == http.StatusTooManyRequests || strings.Contains(body, "secondary rate limit")
}

// peek reads an answer's body and leaves it as it was.
func peek(r *http.Response) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text), err
}
