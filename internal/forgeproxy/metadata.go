package forgeproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// metadataPath is where programs read how people sign in, below the issuer's URL
// (OpenID Connect Discovery 1.0, section 4).
const metadataPath = "/.well-known/openid-configuration"

// maxMetadata is far more than Gitea says, in bytes.
const maxMetadata = 64 << 10

// serveMetadata answers with Gitea's metadata, whose addresses are all those of its
// ROOT_URL: programs ask the issuer whom they found, and a browser what it reaches.
func (p *Proxy) serveMetadata(w http.ResponseWriter, r *http.Request) {
	text, err := p.readMetadata(r)
	if err != nil {
		p.log.Warn("no metadata", "error", err)
		http.Error(w, "the forge does not say how to sign in", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

func (p *Proxy) readMetadata(r *http.Request) ([]byte, error) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.metadata, nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the forge answers %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxMetadata))
	if err != nil {
		return nil, err
	}
	return placed(text, p.public)
}

// placed is metadata in which browsers are sent to public, and all else is asked at the
// issuer.
func placed(text []byte, public *url.URL) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	name, _ := document["issuer"].(string)
	issuer, err := url.Parse(name)
	if err != nil || issuer.Host == "" {
		return nil, errors.New("the issuer is no URL")
	}
	for field, value := range document {
		if field != "jwks_uri" && !strings.HasSuffix(field, "_endpoint") {
			continue
		}
		at, _ := value.(string)
		address, err := url.Parse(at)
		if err != nil || address.Host == "" {
			return nil, fmt.Errorf("%s is no URL", field)
		}
		base := issuer
		if field == "authorization_endpoint" {
			base = public
		}
		document[field] = base.JoinPath(address.Path).String()
	}
	return json.Marshal(document)
}
