package stacks

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// builds are the images of this repository's programs as the checkout has them; none if
// they are pulled.
func (o Options) builds(ctx *pulumi.Context, cfg *config.Config, pins *render.Upstream) ([]ownimages.Build, error) {
	if !cfg.Cluster.BuildsOwnImages() {
		return nil, nil
	}
	checkout := o.Checkout
	if checkout == "" {
		checkout = ctx.RootDirectory()
	}
	builds, err := ownimages.Builds(checkout, ownimages.Of(pins.Images))
	if err != nil {
		return nil, fmt.Errorf("build the platform's own images (neuroscale:cluster.ownImages): %w: run inside a checkout, or write pull", err)
	}
	return builds, nil
}

// references are the names of what is built, by those of what is published.
func references(builds []ownimages.Build) map[string]string {
	all := map[string]string{}
	for _, b := range builds {
		all[b.Published] = b.Reference
	}
	return all
}

// pulledImages are those of this repository's programs that a node in Docker pulls from
// where they are published: none if it has them, or a mirror may.
func (s *site) pulledImages() []string {
	c := s.cfg.Cluster
	if c.BuildsOwnImages() || c.Distribution == config.DistributionNode || len(c.Mirrors) > 0 || c.ImageRegistry != "" {
		return nil
	}
	var all []string
	for _, image := range ownimages.Of(s.upstream.Images) {
		all = append(all, image.Published)
	}
	return all
}
