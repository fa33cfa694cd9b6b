package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// uplot are the files of uPlot's npm package that the dashboards serve, by their paths
// in the image.
var uplot = map[string]string{
	"/uplot/uPlot.iife.min.js": "dist/uPlot.iife.min.js",
	"/uplot/uPlot.min.css":     "dist/uPlot.min.css",
	"/uplot/LICENSE":           "LICENSE",
}

// readUPlot takes the files of uplot out of a package as `npm pack` writes it, by their
// paths in the image. It has to be the one that the sealed machine's image is made of.
func readUPlot(repo, file string) (map[string][]byte, error) {
	if file == "" {
		return nil, errors.New("the image dashboards has uPlot in it: add -uplot FILE, from `npm pack uplot@VERSION`")
	}
	text, err := os.ReadFile(filepath.Join(repo, "sealed", "internal", "images", "images.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read which uPlot: %w", err)
	}
	var table struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := yaml.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("images.yaml: %w", err)
	}
	want := table.Packages["uplot"]
	packed, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-uplot: %w", err)
	}
	sum := sha512.Sum512(packed)
	if "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != want.Integrity {
		return nil, fmt.Errorf("-uplot %s is not what images.yaml pins: give uplot %s", file, want.Version)
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("-uplot %s: %w", file, err)
	}
	inside := map[string][]byte{}
	for t := tar.NewReader(plain); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("-uplot %s: %w", file, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if inside[strings.TrimPrefix(h.Name, "package/")], err = io.ReadAll(t); err != nil {
			return nil, fmt.Errorf("-uplot %s: %w", file, err)
		}
	}
	found := map[string][]byte{}
	for to, from := range uplot {
		content, there := inside[from]
		if !there {
			return nil, fmt.Errorf("-uplot %s has no %s", file, from)
		}
		found[to] = content
	}
	return found, nil
}
