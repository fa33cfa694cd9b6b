package bench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

// manifests is how many guard is promised for.
const manifests = 1000

// guardThousand has guard check as many manifests, half of them endpoints and half
// Deployments, each in a folder of its own.
func guardThousand(ctx context.Context, p *Platform) ([]float64, string, error) {
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return nil, "", fmt.Errorf("create a folder for the manifests: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := writeManifests(dir, manifests); err != nil {
		return nil, "", err
	}
	samples, _, err := repeat(3, func() (float64, error) {
		return timed(func() error {
			_, err := p.Self(ctx, "guard", dir)
			return err
		})
	})
	return samples, "half of them InferenceServices, half Deployments", err
}

// writeManifests writes copies of two of the examples under other names.
func writeManifests(dir string, n int) error {
	for i := range n {
		file, name := "apps/"+warmEndpoint+"/inference-service.yaml", warmEndpoint
		if i%2 == 1 {
			file, name = "apps/test-app/deployment.yaml", driftDeployment
		}
		raw, err := fs.ReadFile(gitops.FS, file)
		if err != nil {
			return fmt.Errorf("read the example: %w", err)
		}
		folder := filepath.Join(dir, "apps", fmt.Sprintf("bench-%d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("write the manifests: %w", err)
		}
		raw = bytes.ReplaceAll(raw, []byte(name), fmt.Appendf(nil, "bench-%d", i))
		if err := os.WriteFile(filepath.Join(folder, path.Base(file)), raw, 0o644); err != nil {
			return fmt.Errorf("write the manifests: %w", err)
		}
	}
	return nil
}
