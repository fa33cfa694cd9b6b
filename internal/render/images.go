package render

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// floating finds an image reference whose tag is latest inside any text.
var floating = regexp.MustCompile(`[\w./-]+:[\w.-]*latest\b`)

// checkImage says what is wrong with an image reference: it has to be there and
// to be pinned by a tag or a digest.
func checkImage(image string) error {
	switch {
	case strings.TrimSpace(image) == "":
		return errors.New("the image is empty")
	case strings.HasPrefix(image, "ko://"):
		return fmt.Errorf("the image %s is a Go import path, not an image", image)
	case strings.Contains(image, "@sha256:"):
		return nil
	case floating.MatchString(image):
		return fmt.Errorf("the image %s floats: pin a version or a digest", image)
	}
	_, last, _ := cutLast(image, "/")
	if _, tag, found := strings.Cut(last, ":"); !found || tag == "" {
		return fmt.Errorf("the image %s has no tag: pin a version or a digest", image)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// checkImages is an error for each object that names an image which is not
// pinned, in a container or in any text.
func checkImages(entries []entry) error {
	var problems []error
	for _, e := range entries {
		o := e.object
		if kindOf(o) == crdKind {
			continue
		}
		for _, image := range containerImages(o) {
			if err := checkImage(image); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", describe(o), err))
			}
		}
		texts(o, func(text string) {
			if strings.Contains(text, "ko://") {
				problems = append(problems, fmt.Errorf("%s: %q is a Go import path, not an image", describe(o), firstLine(text)))
			}
			if found := floating.FindString(text); found != "" {
				problems = append(problems, fmt.Errorf("%s: %q floats: pin a version or a digest", describe(o), found))
			}
		})
	}
	return errors.Join(problems...)
}

// containerImages are the images of all containers below v.
func containerImages(v any) []string {
	var images []string
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			switch key {
			case "containers", "initContainers":
				list, _ := e.([]any)
				for _, c := range list {
					container, _ := c.(map[string]any)
					image, _ := container["image"].(string)
					images = append(images, image)
				}
			default:
				images = append(images, containerImages(e)...)
			}
		}
	case []any:
		for _, e := range v {
			images = append(images, containerImages(e)...)
		}
	}
	slices.Sort(images)
	return images
}

// texts calls f with every string below v.
func texts(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			texts(e, f)
		}
	case []any:
		for _, e := range v {
			texts(e, f)
		}
	case string:
		f(v)
	}
}

// rename gives the pinned images that are named anywhere in the objects the names that
// the cluster has for them.
func (r *Renderer) rename(entries []entry) ([]entry, error) {
	if r.name == nil {
		return entries, nil
	}
	var pairs []string
	// A reference may begin like a shorter one: the longest first.
	for _, image := range slices.Backward(r.upstream.references()) {
		pairs = append(pairs, image, r.name(image))
	}
	names := strings.NewReplacer(pairs...)
	out := make([]entry, 0, len(entries))
	for _, e := range entries {
		if kindOf(e.object) != crdKind {
			var err error
			if e, err = write(mapTexts(e.object, names.Replace).(map[string]any)); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// mapTexts is a copy of v with f of every string in it that is no key.
func mapTexts(v any, f func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[key] = mapTexts(e, f)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = mapTexts(e, f)
		}
		return out
	case string:
		return f(v)
	}
	return v
}
