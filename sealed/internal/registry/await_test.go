package registry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAPullOfAnImageThatIsBeingBuiltGetsItOnceItIsThere(t *testing.T) {
	dir := t.TempDir()
	h, err := Handler(t.Context(), dir, true)
	require.NoError(t, err)
	asked := make(chan struct{}, 100)
	s := httptest.NewServer(Await(h, func() bool { asked <- struct{}{}; return true }))
	t.Cleanup(s.Close)
	tag, err := name.NewTag(strings.TrimPrefix(s.URL, "http://")+"/coredns/coredns:v1", name.Insecure)
	require.NoError(t, err)

	pulled := make(chan error, 1)
	got := make(chan string, 1)
	go func() {
		img, err := remote.Image(tag)
		if err == nil {
			d, _ := img.Digest()
			got <- d.String()
		}
		pulled <- err
	}()
	<-asked
	select {
	case err := <-pulled:
		t.Fatalf("answered before the image was there: %v", err)
	default:
	}
	want, err := push(t, serve(t, dir, false))
	require.NoError(t, err)
	require.NoError(t, <-pulled)
	require.Equal(t, want.String(), <-got)
}

func TestAnImageThatNobodyBuildsIsNotFoundAtOnce(t *testing.T) {
	h, err := Handler(t.Context(), t.TempDir(), true)
	require.NoError(t, err)
	var left atomic.Int32
	left.Store(3)
	s := httptest.NewServer(Await(h, func() bool { return left.Add(-1) >= 0 }))
	t.Cleanup(s.Close)
	answer, err := http.Get(s.URL + "/v2/coredns/coredns/manifests/v1")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusNotFound, answer.StatusCode, "a build that ended without the image must end the wait")
	require.Equal(t, int32(-1), left.Load())
}

func TestAPullThatIsGivenUpIsNotWaitedFor(t *testing.T) {
	h, err := Handler(t.Context(), t.TempDir(), true)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v2/a/b/manifests/v1", nil)
	Await(h, func() bool { cancel(); return true }).ServeHTTP(httptest.NewRecorder(), request)
}

func TestAFileIsLockedOnlyWhileSomebodyHoldsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	locked := Locked(file)
	require.False(t, locked(), "there is no such file")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.False(t, locked())
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	require.True(t, locked())
	require.NoError(t, f.Close())
	require.False(t, locked())
}
