package guard

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Snapshot are the files of a repository of endpoints as they are at one moment.
// Only what is in the folder apps is looked at.
type Snapshot struct {
	// Name says which moment that is, such as "main at 1a2b3c4d".
	Name  string `json:"name"`
	Files []File `json:"files"`
}

// File of a Snapshot.
type File struct {
	// Path in the repository, with slashes.
	Path string `json:"path"`
	// Link is a symbolic link or a submodule.
	Link bool `json:"link,omitempty"`
	// Size in bytes. A file that has more of them than Data was too large to fetch.
	Size int64  `json:"size"`
	Data []byte `json:"data,omitempty"`
}

// Wanted is whether a check reads the content of the file.
func (f File) Wanted() bool { return !f.Link && f.inApps() && isManifest(path.Base(f.Path)) }

func (f File) inApps() bool { return strings.HasPrefix(f.Path, appsFolder+"/") }

// files are the snapshot's as from a disk, and what was not fetched of them.
func (s *Snapshot) files() ([]file, []Finding) {
	var files []file
	c := &contents{}
	for _, f := range s.Files {
		if !f.inApps() {
			continue
		}
		if f.Wanted() && int64(len(f.Data)) != f.Size {
			c.add(Error, RuleRead, f.Path, 0, "has %d bytes, which is more than is looked at: an endpoint's files have some thousand at most", f.Size)
			continue
		}
		one := file{name: f.Path, data: f.Data}
		if f.Link {
			one.mode = fs.ModeSymlink
		}
		if folder, _, deeper := strings.Cut(strings.TrimPrefix(f.Path, appsFolder+"/"), "/"); deeper {
			one.endpoint = folder
		}
		files = append(files, one)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, c.findings
}

// after is what there will be to check.
func (o Options) after() ([]file, []Finding) {
	if o.After != nil {
		return o.After.files()
	}
	return onDisk(o.Paths)
}

// base names what is compared with; empty if nothing is.
func (o Options) base() string {
	if o.Before != nil {
		return o.Before.Name
	}
	return o.Base
}

// before is what there is already, and what of it cannot be read.
func (o Options) before(ctx context.Context) ([]file, []Finding, error) {
	if o.Before != nil {
		files, large := o.Before.files()
		return files, large, nil
	}
	files, err := atBase(ctx, o.Base, o.Paths)
	return files, nil, err
}
