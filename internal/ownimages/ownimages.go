// Package ownimages knows the images that are made of this repository: which of the
// pinned ones they are, what each is built of, and names that change with that.
package ownimages

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Registry is where releases publish them, Folder where in it.
const (
	Registry = "ghcr.io"
	Folder   = "neuroscale-platform"
)

// Image is one of them.
type Image struct {
	// Name in gitops/upstream.yaml.
	Name string
	// Published is where a release has it.
	Published string
	// Context is the folder that it is built of, and Dockerfile the file that says how;
	// both below the checkout.
	Context, Dockerfile string
	// Target is the stage of the Dockerfile; empty means the last.
	Target string
}

// Of are those among pinned images (names to references), by name.
func Of(pinned map[string]string) []Image {
	var all []Image
	for _, name := range slices.Sorted(maps.Keys(pinned)) {
		if !strings.HasPrefix(pinned[name], Registry+"/"+Folder+"/") {
			continue
		}
		image := Image{Name: name, Published: pinned[name], Context: ".", Dockerfile: "Dockerfile", Target: name}
		if name == "portal" {
			image.Context, image.Dockerfile, image.Target = "portal", "portal/Dockerfile", ""
		}
		all = append(all, image)
	}
	return all
}

// Build is an image that is built from a checkout.
type Build struct {
	Image
	// Reference is the name that the cluster has for it: the published one, with what it
	// is built of in its tag. Other sources are another name, which nodes have to pull.
	Reference string
}

// contentLength of a tag is enough not to meet another one by chance.
const contentLength = 12

// Builds are images as the checkout has them, with the paths in it.
func Builds(checkout string, images []Image) ([]Build, error) {
	known := map[string]string{}
	all := make([]Build, 0, len(images))
	for _, image := range images {
		image.Context, image.Dockerfile = filepath.Join(checkout, image.Context), filepath.Join(checkout, image.Dockerfile)
		content, ok := known[image.Dockerfile]
		if !ok {
			var err error
			if content, err = digest(image.Context, image.Dockerfile); err != nil {
				return nil, fmt.Errorf("image %s: %w", image.Name, err)
			}
			known[image.Dockerfile] = content
		}
		all = append(all, Build{Image: image, Reference: image.Published + "-" + content[:contentLength]})
	}
	return all, nil
}

// Bases are the images that those of builds begin with, which a registry has, sorted.
func Bases(builds []Build) ([]string, error) {
	bases := map[string]bool{}
	read := map[string]bool{}
	for _, b := range builds {
		if read[b.Dockerfile] {
			continue
		}
		read[b.Dockerfile] = true
		if err := eachBase(b.Dockerfile, func(image string) { bases[image] = true }); err != nil {
			return nil, fmt.Errorf("image %s: %w", b.Name, err)
		}
	}
	return slices.Sorted(maps.Keys(bases)), nil
}

// eachBase visits what a Dockerfile's stages begin with, other stages apart.
func eachBase(dockerfile string, visit func(image string)) error {
	file, err := os.Open(dockerfile)
	if err != nil {
		return err
	}
	defer file.Close()
	stages := map[string]bool{"scratch": true}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || !strings.EqualFold(f[0], "FROM") {
			continue
		}
		if !stages[f[1]] {
			visit(f[1])
		}
		if len(f) == 4 && strings.EqualFold(f[2], "AS") {
			stages[f[3]] = true
		}
	}
	return lines.Err()
}
