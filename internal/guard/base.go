package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/neuroscale-platform/neuroscale/internal/git"
)

// atBase lists what was at the paths at a Git reference. A path that was not
// there then holds nothing.
func atBase(ctx context.Context, ref string, paths []string) ([]file, error) {
	var files []file
	seen := map[string]bool{}
	for _, root := range paths {
		found, err := pathAtBase(ctx, ref, root)
		if err != nil {
			return nil, fmt.Errorf("read %s at %s: %w", root, ref, err)
		}
		for _, f := range found {
			if !seen[f.name] {
				seen[f.name] = true
				files = append(files, f)
			}
		}
	}
	return files, nil
}

func pathAtBase(ctx context.Context, ref, root string) ([]file, error) {
	absolute, err := filepath.Abs(root)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return nil, errors.New(reason(err))
	}
	folder := absolute
	if info, err := os.Stat(absolute); err == nil && !info.IsDir() {
		folder = filepath.Dir(absolute)
	}
	out, err := git.Read(ctx, folder, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("%w: --base needs a Git checkout", err)
	}
	top := strings.TrimSuffix(string(out), "\n")
	below, err := filepath.Rel(top, absolute)
	if err != nil {
		return nil, err
	}
	commit, err := git.Read(ctx, top, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("there is no such commit: fetch it first, as with git fetch origin %s", ref)
	}
	args := []string{"ls-tree", "-r", "-z", "--full-tree", strings.TrimSpace(string(commit))}
	if below != "." {
		args = append(args, "--", filepath.ToSlash(below))
	}
	listing, err := git.Read(ctx, top, nil, args...)
	if err != nil {
		return nil, err
	}
	var files []file
	var wanted []int
	var request bytes.Buffer
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(listing), "\x00"), "\x00") {
		about, name, found := strings.Cut(entry, "\t")
		fields := strings.Fields(about)
		if !found || len(fields) != 3 {
			continue
		}
		onDisk := filepath.Join(top, filepath.FromSlash(name))
		f := file{name: name, endpoint: endpointOf(absolute, onDisk)}
		switch {
		case fields[1] != "blob":
			continue
		case fields[0] == "120000":
			f.mode = fs.ModeSymlink
		case isManifest(path.Base(name)):
			fmt.Fprintln(&request, fields[2])
			wanted = append(wanted, len(files))
		}
		files = append(files, f)
	}
	return files, blobs(ctx, top, request.Bytes(), files, wanted)
}

// blobs fills in the data of the wanted files.
func blobs(ctx context.Context, top string, request []byte, files []file, wanted []int) error {
	if len(wanted) == 0 {
		return nil
	}
	out, err := git.Read(ctx, top, request, "cat-file", "--batch")
	if err != nil {
		return err
	}
	for _, i := range wanted {
		header, rest, _ := bytes.Cut(out, []byte("\n"))
		fields := bytes.Fields(header)
		if len(fields) != 3 {
			return fmt.Errorf("git cat-file answers %q for %s", header, files[i].name)
		}
		size, err := strconv.Atoi(string(fields[2]))
		if err != nil || size+1 > len(rest) {
			return fmt.Errorf("git cat-file answers %q for %s", header, files[i].name)
		}
		files[i].data, out = rest[:size], rest[size+1:]
	}
	return nil
}
