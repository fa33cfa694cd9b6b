package images

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed images.yaml
var tableYAML []byte

//go:embed _recipes
var recipeFiles embed.FS

// Table is images.yaml: what is built, from what, in the platform's order.
type Table struct {
	Debian Release          `json:"debian"`
	Wheels map[string]Wheel `json:"wheels"`
	// Packages of npm, by their names.
	Packages map[string]Package `json:"packages"`
	Layers   []*Recipe          `json:"layers"`
	Entries  []*Recipe          `json:"entries"`
	// Later names the entries the first prediction does not need.
	Later []string `json:"later"`
	// Asked names the entries that are only built when somebody names them.
	Asked []string `json:"asked"`
}

// Release is the Debian release packages come from.
type Release struct {
	Release string   `json:"release"`
	Drop    []string `json:"drop"` // path prefixes left out of every layer
}

// Wheel is one pinned Python wheel.
type Wheel struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Recipe makes one image, one shared layer or one tool. Paths in images are
// absolute; paths of tools are relative to the tool's folder.
type Recipe struct {
	Name string `json:"name"`

	// Where the sources come from: an upstream of gitops/upstream.yaml, or a
	// module pinned here.
	Upstream string `json:"upstream,omitempty"`
	Image    string `json:"image,omitempty"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Sum      string `json:"sum,omitempty"`

	// Tool, if not nil, makes a folder instead of an image; the files it names
	// are linked into the PATH folder.
	Tool   []string `json:"tool,omitempty"`
	Layers []string `json:"layers,omitempty"`

	Debian       *Debian              `json:"debian,omitempty"`
	Certificates bool                 `json:"certificates,omitempty"` // one bundle of the CA certificates
	Go           *Go                  `json:"go,omitempty"`
	Venv         *Venv                `json:"venv,omitempty"`
	Backstage    *Backstage           `json:"backstage,omitempty"`
	ModuleFiles  map[string]string    `json:"module-files,omitempty"` // path: path in the module
	RecipeFiles  map[string]string    `json:"recipe-files,omitempty"` // path: path in _recipes
	ToolFiles    map[string]string    `json:"tool-files,omitempty"`   // path: entry/file
	WheelFiles   map[string]WheelFile `json:"wheel-files,omitempty"`
	NPMFiles     map[string]NPMFile   `json:"npm-files,omitempty"`
	Files        map[string]string    `json:"files,omitempty"` // path: content
	Links        map[string]string    `json:"links,omitempty"` // path: target
	Dirs         map[string]Dir       `json:"dirs,omitempty"`
	Accounts     []Account            `json:"accounts,omitempty"`
	Bytecode     []string             `json:"bytecode,omitempty"` // folders to compile Python sources in

	User       string   `json:"user,omitempty"`
	Env        []string `json:"env,omitempty"`
	WorkDir    string   `json:"workdir,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`

	reference string // the image's full name, from gitops/upstream.yaml
	sources   string // hash of what is compiled, if that is this repository's
	shared    bool   // one of Table.Layers
}

// Debian packages and, unless Closure is false, what they depend on and the
// layers below do not hold yet.
type Debian struct {
	Packages []string `json:"packages"`
	Without  []string `json:"without,omitempty"`
	Closure  *bool    `json:"closure,omitempty"`
}

// Go compiles main packages.
type Go struct {
	Packages  map[string]string  `json:"packages"`            // path: package, relative to the module
	Main      string             `json:"main,omitempty"`      // folder in _recipes that holds the main package
	Ours      bool               `json:"ours,omitempty"`      // the packages are this repository's
	Sources   map[string]string  `json:"sources,omitempty"`   // file beside the main package: path in the module; needs Main
	Overlays  map[string]Overlay `json:"overlays,omitempty"`  // by a module that is imported
	Published bool               `json:"published,omitempty"` // Kubernetes: modules replaced by folders as they are published, v0.x.y of its v1.x.y
	Like      string             `json:"like,omitempty"`      // entry before it whose versions this one uses too: what they share is compiled once
	InPlace   bool               `json:"in-place,omitempty"`  // build in a writable copy of the module
	CGO       bool               `json:"cgo,omitempty"`       // with a C compiler, linked statically
	CFlags    string             `json:"cflags,omitempty"`
	Tags      []string           `json:"tags,omitempty"`
	Define    map[string]string  `json:"define,omitempty"`   // linker's -X
	Generate  []string           `json:"generate,omitempty"` // go generate before the build; needs InPlace
	PNPM      *PNPM              `json:"pnpm,omitempty"`     // web interface made before the build; needs InPlace
}

// Overlay is a module with files of ours in place of its own. That of the recipe's
// own module needs neither Version nor Sum.
type Overlay struct {
	Version string   `json:"version,omitempty"`
	Sum     string   `json:"sum,omitempty"`
	Without []string `json:"without,omitempty"` // patterns of files that are left out first
	Files   string   `json:"files"`             // folder in _recipes, laid over the module's
}

// PNPM builds a web interface from the lock file in the module.
type PNPM struct {
	Version   string   `json:"version"`
	Integrity string   `json:"integrity"`
	Run       []string `json:"run"`
}

// Venv is a Python environment as a uv.lock in the module says.
type Venv struct {
	Path    string   `json:"path"`
	Project string   `json:"project"`          // folder of uv.lock in the module
	Wheels  []string `json:"wheels,omitempty"` // pinned wheels in place of the lock's local folders
	Trim    []string `json:"trim,omitempty"`   // patterns below site-packages
	Startup string   `json:"startup,omitempty"`
	Train   *Train   `json:"train,omitempty"`
}

// Train makes a model with the environment, for the object store.
type Train struct {
	Script string `json:"script"`
	Object string `json:"object"` // bucket/name
}

// WheelFile is one file in a wheel.
type WheelFile struct {
	Wheel string `json:"wheel"`
	Path  string `json:"path"`
}

// NPMFile is one file in an npm package.
type NPMFile struct {
	Package string `json:"package"`
	Path    string `json:"path"`
}

// Dir is a folder with an owner ("uid:gid", default 0:0) and a mode (octal,
// default 0755).
type Dir struct {
	Owner string `json:"owner,omitempty"`
	Mode  string `json:"mode,omitempty"`
}

// Account is a user and its group.
type Account struct {
	Name  string `json:"name"`
	ID    int    `json:"id"`
	Home  string `json:"home"`
	Shell string `json:"shell,omitempty"`
}

// Upstreams is what the sealed machine reads of gitops/upstream.yaml.
type Upstreams struct {
	Upstreams map[string]struct {
		Module  string            `json:"module"`
		Version string            `json:"version"`
		Sum     string            `json:"sum"`
		Images  map[string]string `json:"images"`
	} `json:"upstreams"`
	Images map[string]string `json:"images"`
}

// loadTable decodes the embedded table and joins it with gitops/upstream.yaml.
// All errors are reported at once.
func loadTable(table, upstream []byte) (*Table, error) {
	t, up := &Table{}, &Upstreams{}
	if err := yaml.UnmarshalStrict(table, t); err != nil {
		return nil, fmt.Errorf("images.yaml: %w", err)
	}
	if err := yaml.Unmarshal(upstream, up); err != nil {
		return nil, fmt.Errorf("gitops/upstream.yaml: %w", err)
	}
	for _, l := range t.Layers {
		l.shared = true
	}
	var errs []error
	for _, r := range t.all() {
		errs = append(errs, r.inherit(up))
	}
	errs = append(errs, t.validate())
	return t, errors.Join(errs...)
}

// all returns shared layers first, then entries in the platform's order.
func (t *Table) all() []*Recipe { return slices.Concat(t.Layers, t.Entries) }

func (t *Table) entry(name string) *Recipe {
	i := slices.IndexFunc(t.Entries, func(r *Recipe) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return t.Entries[i]
}

func (t *Table) layer(name string) *Recipe {
	i := slices.IndexFunc(t.Layers, func(r *Recipe) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return t.Layers[i]
}

func (r *Recipe) inherit(up *Upstreams) error {
	images := up.Images
	if r.Upstream != "" {
		u, ok := up.Upstreams[r.Upstream]
		if !ok {
			return fmt.Errorf("%s: upstream %q is not in gitops/upstream.yaml", r.Name, r.Upstream)
		}
		if r.Module != "" || r.Version != "" || r.Sum != "" {
			return fmt.Errorf("%s: module, version and sum come from upstream %q: remove them here", r.Name, r.Upstream)
		}
		r.Module, r.Version, r.Sum, images = u.Module, u.Version, u.Sum, u.Images
	}
	r.ownOverlay()
	if r.Image == "" {
		return nil
	}
	if r.reference = images[r.Image]; r.reference == "" {
		return fmt.Errorf("%s: image %q is not in gitops/upstream.yaml (upstream %q)", r.Name, r.Image, r.Upstream)
	}
	return nil
}

// ownOverlay gives an overlay of the recipe's module its version and checksum.
func (r *Recipe) ownOverlay() {
	if r.Go == nil {
		return
	}
	if o, ok := r.Go.Overlays[r.Module]; ok && o.Version == "" && o.Sum == "" {
		o.Version, o.Sum = r.Version, r.Sum
		r.Go.Overlays[r.Module] = o
	}
}

func (t *Table) validate() error {
	var errs []error
	bad := func(r *Recipe, format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", r.Name, fmt.Sprintf(format, a...)))
	}
	seen := map[string]bool{}
	for _, r := range t.all() {
		if r.Name == "" || seen[r.Name] {
			bad(r, "names must be given and unique")
		}
		for _, l := range r.Layers {
			if below := t.layer(l); below == nil || !seen[l] {
				bad(r, "layer %q is not defined before it", l)
			}
		}
		for p, f := range r.ToolFiles {
			if name, _, _ := strings.Cut(f, "/"); !seen[name] {
				bad(r, "%s comes from %q, which is not built before it", p, name)
			}
		}
		seen[r.Name] = true
		switch {
		case r.shared && (r.Image != "" || r.Tool != nil):
			bad(r, "a shared layer is neither an image nor a tool")
		case !r.shared && (r.Image == "") == (r.Tool == nil):
			bad(r, "needs either image or tool")
		case r.Image != "" && !numeric(r.User):
			bad(r, "user %q must be a number: the kubelet cannot tell that a name is not root", r.User)
		case r.Image != "" && len(r.Entrypoint) == 0:
			bad(r, "needs an entrypoint")
		}
		if r.Module != "" && (r.Version == "" || !strings.HasPrefix(r.Sum, "h1:")) {
			bad(r, "module %s needs version and sum", r.Module)
		}
		if g := r.Go; g != nil && g.Ours && (r.Module != "" || g.Main != "" || g.InPlace || g.CGO || len(g.Overlays)+len(g.Generate) > 0) {
			bad(r, "what is ours is compiled as it is: remove module, main, in-place, cgo, overlays and generate")
		}
		if r.Module == "" && (len(r.ModuleFiles) > 0 || r.Venv != nil || r.Go != nil && r.Go.Main == "" && !r.Go.Ours) {
			bad(r, "needs a module to take its sources from")
		}
		if r.Go != nil && len(r.Go.Sources) > 0 && (r.Go.Main == "" || r.Module == "") {
			bad(r, "sources go from a module to the main package of a recipe: it needs both")
		}
		if r.Go != nil && r.Go.Like != "" {
			if e := t.entry(r.Go.Like); e == nil || e.Module == "" || slices.Index(t.all(), e) >= slices.Index(t.all(), r) {
				bad(r, "like: %q is no entry with a module before it", r.Go.Like)
			}
		}
		errs = append(errs, t.validateFiles(r))
	}
	for list, names := range map[string][]string{"later": t.Later, "asked": t.Asked} {
		for _, name := range names {
			if t.entry(name) == nil {
				errs = append(errs, fmt.Errorf("%s: there is no entry %q", list, name))
			}
		}
	}
	return errors.Join(errs...)
}

// validateFiles checks what a recipe points to: wheels, recipe files, paths.
func (t *Table) validateFiles(r *Recipe) error {
	var errs []error
	bad := func(format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", r.Name, fmt.Sprintf(format, a...)))
	}
	wheels := []string{}
	for _, w := range r.WheelFiles {
		wheels = append(wheels, w.Wheel)
	}
	if r.Venv != nil {
		wheels = append(wheels, r.Venv.Wheels...)
	}
	for _, w := range wheels {
		if _, ok := t.Wheels[w]; !ok {
			bad("wheel %q is not pinned", w)
		}
	}
	for p, f := range r.NPMFiles {
		if _, ok := t.Packages[f.Package]; !ok {
			bad("%s comes from the npm package %q, which is not pinned", p, f.Package)
		}
		if !fs.ValidPath(f.Path) {
			bad("%s: path %q in the npm package must be clean and relative", p, f.Path)
		}
	}
	for _, f := range r.recipeFiles() {
		if _, err := fs.Stat(recipeFiles, path.Join("_recipes", f)); err != nil {
			bad("there is no file _recipes/%s", f)
		}
	}
	for _, p := range r.paths() {
		if path.IsAbs(p) == (r.Tool != nil) || path.Clean(p) != p {
			bad("path %q must be clean, and absolute except in tools", p)
		}
	}
	if r.Go != nil {
		for to, from := range r.Go.Sources {
			if !fs.ValidPath(to) || !fs.ValidPath(from) {
				bad("source %q from %q: both must be clean and relative", to, from)
			}
		}
		for module, o := range r.Go.Overlays {
			if o.Version == "" || !strings.HasPrefix(o.Sum, "h1:") {
				bad("module %s needs version and sum", module)
			}
			for _, pattern := range o.Without {
				if _, err := path.Match(pattern, ""); err != nil || !fs.ValidPath(pattern) {
					bad("module %s: %q is no pattern of files below it", module, pattern)
				}
			}
		}
	}
	for p, d := range r.Dirs {
		if _, _, _, err := d.owner(); err != nil {
			bad("%s: %v", p, err)
		}
	}
	return errors.Join(errs...)
}

// recipeFiles are the files and folders of _recipes the recipe uses.
func (r *Recipe) recipeFiles() []string {
	var files []string
	for _, f := range r.RecipeFiles {
		files = append(files, f)
	}
	if r.Go != nil && r.Go.Main != "" {
		files = append(files, r.Go.Main)
	}
	if g := r.Go; g != nil {
		for _, o := range g.Overlays {
			files = append(files, o.Files)
		}
	}
	if v := r.Venv; v != nil && v.Startup != "" {
		files = append(files, v.Startup)
	}
	if v := r.Venv; v != nil && v.Train != nil {
		files = append(files, v.Train.Script)
	}
	slices.Sort(files)
	return files
}

// paths are the paths the recipe makes.
func (r *Recipe) paths() []string {
	var paths []string
	for _, m := range []map[string]string{r.ModuleFiles, r.RecipeFiles, r.ToolFiles, r.Files, r.Links} {
		for p := range m {
			paths = append(paths, p)
		}
	}
	if r.Go != nil {
		for p := range r.Go.Packages {
			paths = append(paths, p)
		}
	}
	for p := range r.WheelFiles {
		paths = append(paths, p)
	}
	for p := range r.NPMFiles {
		paths = append(paths, p)
	}
	for p := range r.Dirs {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// expand puts the recipe's version into s.
func (r *Recipe) expand(s string) string {
	number := strings.TrimPrefix(r.Version, "v")
	parts := append(strings.SplitN(number, ".", 3), "", "")
	return strings.NewReplacer("{version}", r.Version, "{number}", number, "{major}", parts[0], "{minor}", parts[1]).Replace(s)
}

func (d Dir) owner() (uid, gid int, mode fs.FileMode, err error) {
	m := uint32(0o755)
	if d.Owner != "" {
		if _, err = fmt.Sscanf(d.Owner, "%d:%d", &uid, &gid); err != nil {
			return 0, 0, 0, fmt.Errorf("owner %q must be uid:gid", d.Owner)
		}
	}
	if d.Mode != "" {
		if _, err = fmt.Sscanf(d.Mode, "%o", &m); err != nil {
			return 0, 0, 0, fmt.Errorf("mode %q must be octal", d.Mode)
		}
	}
	mode = fs.FileMode(m & 0o777)
	if m&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return uid, gid, mode, nil
}

func numeric(user string) bool {
	return user != "" && strings.Trim(user, "0123456789:") == ""
}
