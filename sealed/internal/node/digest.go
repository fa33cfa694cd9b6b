package node

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// manifestTypes a client must accept to be told the digest of any image.
var manifestTypes = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// digest of what the registry has under an image's name, or "". The registry
// knows images by their path alone, without the host they come from.
func digest(registry http.Handler, image string) string {
	tag, err := name.NewTag(image, name.StrictValidation)
	if err != nil {
		return ""
	}
	request := httptest.NewRequest(http.MethodHead, "/v2/"+tag.RepositoryStr()+"/manifests/"+tag.TagStr(), nil)
	request.Header.Set("Accept", strings.Join(manifestTypes, ", "))
	answer := httptest.NewRecorder()
	registry.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		return ""
	}
	return answer.Header().Get("Docker-Content-Digest")
}
