package verify

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// leastSecret is how long a text of letters and digits has to be to be taken for a
// random one.
const leastSecret = 16

// certificates are public.
var certificates = regexp.MustCompile(`(?s)-----BEGIN (TRUSTED )?CERTIFICATE-----.*?-----END (TRUSTED )?CERTIFICATE-----`)

func (p *Platform) secretsStayOut(ctx context.Context) (string, error) {
	all, err := p.list(ctx, kube.Secrets, "", "")
	if err != nil {
		return "", err
	}
	known := needles{}
	for i := range all {
		known.add(&all[i])
	}
	if len(known) == 0 {
		return "", errors.New("the cluster has no Secret to look for")
	}
	repositories := append(p.Config.Repositories(), forge.Platform)
	sizes := make([]int, len(repositories))
	err = every(repositories, func(name string) error {
		found, size, err := p.searchIn(ctx, name, known)
		sizes[slices.Index(repositories, name)] = size
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("repository %s has what is in %s", name, strings.Join(found, ", "))
		}
		return err
	})
	total := 0
	for _, n := range sizes {
		total += n
	}
	return fmt.Sprintf("%d random texts of %s looked for in %d bytes of %s", len(known), count(len(all), "Secret"), total,
		countOf(len(repositories), "repository", "repositories")), err
}

// searchIn looks for secrets in everything that a repository holds.
func (p *Platform) searchIn(ctx context.Context, repository string, known needles) (found []string, size int, err error) {
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, 0, fmt.Errorf("make a folder to clone into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	by := p.administrator()
	remote := git.Remote{
		URL:      fmt.Sprintf("%s/%s/%s.git", strings.TrimRight(p.Outputs.ForgeURL, "/"), p.Config.Forge.Organization, repository),
		Username: by.name, Password: by.password, Authority: p.Outputs.Authority,
	}
	if p.Config.Forge.OnGitHub() && repository != forge.Platform {
		g, err := p.newHub(ctx)
		if err != nil {
			return nil, 0, err
		}
		remote = g.remote(repository)
	}
	s := &searcher{known: known}
	if err := git.Contents(ctx, remote, dir, s); err != nil {
		return nil, 0, fmt.Errorf("read repository %s: %w", repository, err)
	}
	if s.size == 0 {
		return nil, 0, fmt.Errorf("repository %s is empty: nothing was looked at", repository)
	}
	return s.end(), s.size, nil
}

// needles are random texts and the Secret, with its key, that each is in.
type needles map[string]string

// add takes what looks random in a Secret's values, as it is and as a manifest would
// carry it.
func (n needles) add(o *unstructured.Unstructured) {
	data, _, _ := unstructured.NestedStringMap(o.Object, "data")
	for key, encoded := range data {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		private := certificates.ReplaceAll(raw, nil)
		where := fmt.Sprintf("Secret %s/%s (%s)", o.GetNamespace(), o.GetName(), key)
		texts := [][]byte{private}
		if len(private) == len(raw) {
			texts = append(texts, []byte(encoded))
		}
		for _, text := range texts {
			for _, class := range []func(byte) bool{letter, base64Letter} {
				for word := range bytes.FieldsFuncSeq(text, func(r rune) bool { return r > 127 || !class(byte(r)) }) {
					if random(word) {
						n[string(word)] = where
					}
				}
			}
		}
	}
}

func letter(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func base64Letter(b byte) bool { return letter(b) || b == '+' || b == '/' }

// random is whether a text looks as if nobody had written it: long, of letters and
// digits, and of many different ones. One with slashes could be a path, unless there
// are small and big letters.
func random(word []byte) bool {
	if len(word) < leastSecret {
		return false
	}
	seen := map[byte]bool{}
	digit, small, big, slash := false, false, false, false
	for _, b := range word {
		seen[b] = true
		digit = digit || '0' <= b && b <= '9'
		small = small || 'a' <= b && b <= 'z'
		big = big || 'A' <= b && b <= 'Z'
		slash = slash || b == '/'
	}
	return digit && (small || big) && (!slash || small && big) && len(seen) >= 10
}

// searcher looks for whole words of what is written to it.
type searcher struct {
	known needles
	size  int
	words [2][]byte
	found []string
}

// longest is how much of a word is kept: the needles of a Secret are shorter.
const longest = 1 << 20

// Write implements io.Writer.
func (s *searcher) Write(text []byte) (int, error) {
	s.size += len(text)
	for i, class := range []func(byte) bool{letter, base64Letter} {
		for _, b := range text {
			if class(b) {
				if len(s.words[i]) < longest {
					s.words[i] = append(s.words[i], b)
				}
				continue
			}
			s.look(i)
		}
	}
	return len(text), nil
}

func (s *searcher) look(i int) {
	if len(s.words[i]) >= leastSecret {
		if where, known := s.known[string(s.words[i])]; known && !slices.Contains(s.found, where) {
			s.found = append(s.found, where)
		}
	}
	s.words[i] = s.words[i][:0]
}

// end is what was found in all that was written.
func (s *searcher) end() []string {
	s.look(0)
	s.look(1)
	slices.Sort(s.found)
	return s.found
}
