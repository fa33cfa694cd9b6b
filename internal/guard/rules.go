package guard

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Rules are what a check goes by that a platform's settings say.
type Rules struct {
	// Tenants are those whose endpoints are checked, and DefaultResources as in
	// config.Serving.
	Tenants          []config.Tenant  `json:"tenants"`
	DefaultResources config.Resources `json:"defaultResources"`
	// Kinds are as in Options.
	Kinds []string `json:"kinds"`
	// Excluded are as in Options, by repository.
	Excluded map[string][]string `json:"excluded"`

	gitops  fs.FS
	schemas string
}

// Names in an archive of rules.
const (
	rulesFile     = "rules.json"
	gitopsFolder  = "gitops"
	schemasFolder = "schemas"
)

// maxRules bounds what an archive unpacks to, in bytes.
const maxRules = 64 << 20

// maxRulesWindow bounds how far back a compressed archive refers, in bytes: as much as
// its reader keeps in memory.
const maxRulesWindow = 8 << 20

// Pack makes an archive of the rules, with what of gitops a check reads and with
// schemas (those of schema.Validator.Files), for a process that has neither the
// stack's settings nor the Go toolchain. The same input makes the same bytes.
func (r Rules) Pack(gitops fs.FS, schemas map[string][]byte) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("pack the rules: %w", err)
	}
	files := map[string][]byte{rulesFile: text}
	for _, pattern := range slices.Concat([]string{render.UpstreamFile, policy.Files}, cost.Files) {
		names, err := fs.Glob(gitops, pattern)
		if err != nil || len(names) == 0 {
			return nil, errors.Join(fmt.Errorf("pack the rules: there is no %s", pattern), err)
		}
		for _, name := range names {
			if files[gitopsFolder+"/"+name], err = fs.ReadFile(gitops, name); err != nil {
				return nil, fmt.Errorf("pack the rules: %w", err)
			}
		}
	}
	for name, data := range schemas {
		files[schemasFolder+"/"+name] = data
	}
	var buffer bytes.Buffer
	// Schemas repeat each other over more than the 32 KiB that gzip looks back.
	compressed, err := zstd.NewWriter(&buffer, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxRulesWindow))
	if err != nil {
		return nil, fmt.Errorf("pack the rules: %w", err)
	}
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644})
		if err == nil {
			_, err = archive.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("pack the rules: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("pack the rules: %w", err)
	}
	return buffer.Bytes(), nil
}

// Unpack puts what Pack made into a folder, for OpenRules.
func Unpack(archive []byte, folder string) error {
	z, err := zstd.NewReader(bytes.NewReader(archive), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxRulesWindow))
	if err != nil {
		return fmt.Errorf("unpack the rules: %w", err)
	}
	defer z.Close()
	left := int64(maxRules)
	for files := tar.NewReader(z); ; {
		f, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack the rules: %w", err)
		}
		if f.Typeflag != tar.TypeReg || !filepath.IsLocal(f.Name) {
			return fmt.Errorf("unpack the rules: %q is no file of rules", f.Name)
		}
		if left -= f.Size; left < 0 {
			return fmt.Errorf("unpack the rules: %s: it is too large", f.Name)
		}
		if err := unpack(files, filepath.Join(folder, filepath.FromSlash(f.Name))); err != nil {
			return fmt.Errorf("unpack the rules: %s: %w", f.Name, err)
		}
	}
}

func unpack(from io.Reader, to string) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// OpenRules takes the rules from a folder that Unpack has filled.
func OpenRules(folder string) (*Rules, error) {
	text, err := os.ReadFile(filepath.Join(folder, rulesFile))
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	r := &Rules{gitops: os.DirFS(filepath.Join(folder, gitopsFolder)), schemas: filepath.Join(folder, schemasFolder)}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	return r, nil
}

// Repositories of all tenants.
func (r *Rules) Repositories() []string {
	return (&config.Config{Tenants: r.Tenants}).Repositories()
}

// For are the options of a check of a repository, which one tenant has to have.
// What changes with how a check is made, the caller fills in.
func (r *Rules) For(repository string) (Options, error) {
	i := slices.IndexFunc(r.Tenants, func(t config.Tenant) bool { return slices.Contains(t.Repositories, repository) })
	if i < 0 {
		return Options{}, fmt.Errorf("the repository %s is no tenant's", repository)
	}
	o := Options{
		Tenants: r.Tenants, Namespace: r.Tenants[i].Namespace, Kinds: r.Kinds, Excluded: r.Excluded[repository],
		GitOps: r.gitops, Schemas: r.schemas,
	}
	var err error
	if o.Cost.Thresholds, err = cost.ParseThresholds(DefaultCPUThreshold, DefaultMemoryThreshold); err != nil {
		return Options{}, err
	}
	if o.Cost.Platform, err = cost.NewPlatform(r.gitops, config.Serving{DefaultResources: r.DefaultResources}); err != nil {
		return Options{}, err
	}
	prices, err := fs.ReadFile(r.gitops, cost.PricesFile)
	if err != nil {
		return Options{}, fmt.Errorf("read the prices: %w", err)
	}
	if o.Cost.Prices, err = cost.LoadPrices(prices); err != nil {
		return Options{}, err
	}
	return o, nil
}
