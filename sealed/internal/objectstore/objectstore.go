// Package objectstore answers the reading part of Google Cloud Storage's JSON
// API (list, metadata, download) over a folder DIR/BUCKET/OBJECT, so that gs://
// addresses resolve on a machine without internet. It cannot be written to.
package objectstore

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// generation and created are the same for every object: nothing is ever
// overwritten, and answers do not depend on when the folder was filled.
const (
	generation = "1"
	created    = "2024-01-01T00:00:00.000Z"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type store struct {
	dir string
	log *slog.Logger
}

// Handler serves the buckets in dir (one sub-folder each). Requests are logged
// to log at debug level. An object outside its bucket's folder (by ".." or by a
// symbolic link) does not exist as far as the handler is concerned.
func Handler(dir string, log *slog.Logger) http.Handler {
	s := &store{dir: dir, log: log}
	return http.HandlerFunc(s.serve)
}

func (s *store) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w, code: http.StatusOK}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(rec, http.StatusMethodNotAllowed, "this object store is read-only")
	} else {
		s.route(rec, r)
	}
	s.log.Debug("object store", "method", r.Method, "path", r.URL.EscapedPath(), "code", rec.code, "seconds", time.Since(start).Seconds())
}

// route works on the escaped path: an object's name may hold slashes, which
// the API carries as %2F.
func (s *store) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	rest, download := strings.CutPrefix(path, "/download")
	if rest, api := strings.CutPrefix(rest, "/storage/v1/b/"); api {
		bucket, tail, _ := strings.Cut(rest, "/")
		kind, object, hasObject := strings.Cut(tail, "/")
		switch {
		case tail == "":
			s.bucket(w, unescape(bucket))
		case kind == "o" && !hasObject:
			s.list(w, r, unescape(bucket))
		case kind == "o":
			media := download || r.URL.Query().Get("alt") == "media"
			s.object(w, r, unescape(bucket), unescape(object), media)
		default:
			fail(w, http.StatusNotFound, "no such resource: "+path)
		}
		return
	}
	bucket, object, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	s.object(w, r, unescape(bucket), unescape(object), true)
}

func (s *store) bucket(w http.ResponseWriter, bucket string) {
	root, err := s.open(bucket)
	if err != nil {
		fail(w, http.StatusNotFound, "The specified bucket does not exist: "+bucket)
		return
	}
	root.Close()
	answer(w, map[string]any{"kind": "storage#bucket", "id": bucket, "name": bucket})
}

func (s *store) list(w http.ResponseWriter, r *http.Request, bucket string) {
	root, err := s.open(bucket)
	if err != nil {
		fail(w, http.StatusNotFound, "The specified bucket does not exist: "+bucket)
		return
	}
	defer root.Close()
	prefix, delimiter := r.URL.Query().Get("prefix"), r.URL.Query().Get("delimiter")
	items, prefixes := []*object{}, []string{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(name, prefix) {
			return err
		}
		if delimiter != "" {
			if i := strings.Index(name[len(prefix):], delimiter); i >= 0 {
				if p := name[:len(prefix)+i+len(delimiter)]; !slices.Contains(prefixes, p) {
					prefixes = append(prefixes, p)
				}
				return nil
			}
		}
		o, err := describe(root, bucket, name)
		if err != nil {
			return err
		}
		items = append(items, o)
		return nil
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, fmt.Sprintf("list %s: %v", bucket, err))
		return
	}
	answer(w, map[string]any{"kind": "storage#objects", "items": items, "prefixes": prefixes})
}

func (s *store) object(w http.ResponseWriter, r *http.Request, bucket, name string, media bool) {
	root, err := s.open(bucket)
	if err != nil {
		fail(w, http.StatusNotFound, fmt.Sprintf("No such object: %s/%s", bucket, name))
		return
	}
	defer root.Close()
	o, err := describe(root, bucket, name)
	if err != nil {
		fail(w, http.StatusNotFound, fmt.Sprintf("No such object: %s/%s", bucket, name))
		return
	}
	if !media {
		answer(w, o)
		return
	}
	f, err := root.Open(name)
	if err != nil {
		fail(w, http.StatusNotFound, fmt.Sprintf("No such object: %s/%s", bucket, name))
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", o.ContentType)
	h.Set("X-Goog-Hash", "crc32c="+o.CRC32C+",md5="+o.MD5)
	h.Set("X-Goog-Generation", generation)
	h.Set("ETag", strconv.Quote(o.ETag))
	// ServeContent answers ranges, which clients use to resume a download.
	http.ServeContent(w, r, "", time.Time{}, f)
}

// open returns the bucket's folder as a root no name can lead out of.
func (s *store) open(bucket string) (*os.Root, error) {
	if bucket == "" || bucket == "." || bucket == ".." || strings.ContainsAny(bucket, "/\\\x00") {
		return nil, errors.New("not a bucket name")
	}
	return os.OpenRoot(filepath.Join(s.dir, bucket))
}

// object is the part of the API's object resource that clients read.
type object struct {
	Kind           string `json:"kind"`
	ID             string `json:"id"`
	Name           string `json:"name"`
	Bucket         string `json:"bucket"`
	Generation     string `json:"generation"`
	Metageneration string `json:"metageneration"`
	ContentType    string `json:"contentType"`
	Size           string `json:"size"`
	MD5            string `json:"md5Hash"`
	CRC32C         string `json:"crc32c"`
	ETag           string `json:"etag"`
	Created        string `json:"timeCreated"`
	Updated        string `json:"updated"`
	StorageClass   string `json:"storageClass"`
}

func describe(root *os.Root, bucket, name string) (*object, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrNotExist
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	sum, crc := md5.New(), crc32.New(castagnoli)
	size, err := io.Copy(io.MultiWriter(sum, crc), f)
	if err != nil {
		return nil, err
	}
	return &object{
		Kind: "storage#object", ID: bucket + "/" + name + "/" + generation,
		Name: name, Bucket: bucket, Generation: generation, Metageneration: "1",
		ContentType: contentType(name), Size: strconv.FormatInt(size, 10),
		MD5:    base64.StdEncoding.EncodeToString(sum.Sum(nil)),
		CRC32C: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc.Sum32())),
		ETag:   fmt.Sprintf("%x", sum.Sum(nil)), Created: created, Updated: created, StorageClass: "STANDARD",
	}, nil
}

// contentType tells archives, which clients unpack, from everything else.
func contentType(name string) string {
	switch {
	case strings.HasSuffix(name, ".tgz"), strings.HasSuffix(name, ".gz"):
		return "application/gzip"
	case strings.HasSuffix(name, ".zip"):
		return "application/zip"
	}
	return "application/octet-stream"
}

// unescape returns "" for a malformed escape, which then names nothing.
func unescape(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return ""
	}
	return u
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// A client that went away is the only way this fails.
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	answer(w, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
