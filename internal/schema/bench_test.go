package schema

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Deployments and InferenceServices in turn, loading of the schemas included:
// what a command does with a large repository.
func BenchmarkValidate(b *testing.B) {
	platform(b)
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				v, err := New(b.Context(), Options{Renderer: renderer(b), CacheDir: shared.dir})
				require.NoError(b, err)
				for i := range n {
					document := deployment
					if i%2 == 1 {
						document = inferenceService
					}
					require.Empty(b, v.Validate([]byte(document)))
				}
			}
		})
	}
}

// The first time on a machine, with the upstream modules downloaded.
func BenchmarkGenerate(b *testing.B) {
	r := renderer(b)
	for b.Loop() {
		_, err := New(b.Context(), Options{Renderer: r, CacheDir: b.TempDir()})
		require.NoError(b, err)
	}
}
