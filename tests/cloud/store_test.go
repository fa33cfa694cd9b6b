package cloud

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// privateModel is the example's model in a bucket that only the second tenant reads.
const privateModel = "s3://private/iris"

// asked are the access keys that requests to the store came with.
type asked struct {
	mu   sync.Mutex
	keys map[string]int
}

func (a *asked) add(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[key]++
}

// store answers as S3 does for one bucket with one model, at a port where pods of tenants
// may go, and to whoever has the second tenant's access key. Each tenant has a key of its
// own, in a Secret of the same name.
func (p *platform) store(ctx context.Context, t *testing.T, host string) {
	t.Helper()
	cache, err := rig.Cache()
	require.NoError(t, err)
	model, err := os.ReadFile(filepath.Join(cache, "objects", "kfserving-examples", "models", "sklearn", "1.0", "model", "model.joblib"))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "4443"))
	require.NoError(t, err)
	p.asked = &asked{keys: map[string]int{}}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(credential, "/")
		p.asked.add(key)
		if key != accessKey(other) {
			http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
			return
		}
		answerAsS3(w, r, model)
	})}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(p.around, func() { _ = server.Close() })
	for _, namespace := range []string{tenant, other} {
		file := filepath.Join(p.dir, namespace+".yaml")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Secret
metadata:
  name: models
  namespace: %[1]s
  annotations:
    serving.kserve.io/s3-region: eu-central-1
    serving.kserve.io/s3-endpoint: %[2]s
    serving.kserve.io/s3-usehttps: "0"
stringData: {AWS_ACCESS_KEY_ID: %[3]s, AWS_SECRET_ACCESS_KEY: of-%[1]s}
`, namespace, listener.Addr(), accessKey(namespace)), 0o600))
		rig.Succeed(ctx, t, p.kubectl("apply", "-f", file))
	}
}

func accessKey(namespace string) string { return "key-of-" + namespace }

func answerAsS3(w http.ResponseWriter, r *http.Request, model []byte) {
	const object = "iris/model.joblib"
	now := time.Now().UTC()
	switch r.URL.Path {
	case "/private", "/private/":
		fmt.Fprintf(w, `<ListBucketResult><Name>private</Name><Prefix>%s</Prefix><IsTruncated>false</IsTruncated><Contents>`+
			`<Key>%s</Key><LastModified>%s</LastModified><ETag>"model"</ETag><Size>%d</Size></Contents></ListBucketResult>`,
			r.URL.Query().Get("prefix"), object, now.Format("2006-01-02T15:04:05.000Z"), len(model))
	case "/private/" + object:
		w.Header().Set("ETag", `"model"`)
		http.ServeContent(w, r, "", now, strings.NewReader(string(model)))
	default:
		http.NotFound(w, r)
	}
}
