package guardrails

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// form is a way to write down a manifest. The manifest is a good one, or has the
// fault that the form's want is about.
type form struct {
	name, says string
	// extension of the file, yaml if "".
	extension string
	want      Verdict
	write     func(shape, object) ([]byte, error)
	// change is made to the good manifest first.
	change func(*target)
	// anonymous forms leave the namespace out.
	anonymous bool
}

// twice are a good and a bad manifest in one form.
func twice(f form, change func(*target), want Verdict) []form {
	good, bad := f, f
	good.want, good.change = Admit, func(*target) {}
	bad.name, bad.says = f.name+"-bad", f.says+", and "+fault(want)
	bad.want, bad.change = want, change
	return []form{good, bad}
}

func fault(want Verdict) string {
	return map[Verdict]string{
		PinnedImages: "the tag is latest", NonRoot: "it may be root", Resources: "it has no limits", labels: "it has no owner",
	}[want]
}

func forms() []form {
	latest := container(image("nginx:latest"))
	root := container(security(object{"runAsNonRoot": nil}))
	limits := container(without("limits"))
	owner := label("owner", nil)
	var all []form
	for _, f := range []struct {
		form
		change func(*target)
		bad    Verdict
	}{
		{form{name: "json", says: "it is JSON", extension: "json", write: asJSON}, latest, PinnedImages},
		{form{name: "json-in-yaml", says: "it is JSON in a file of YAML", write: asJSON}, root, NonRoot},
		{form{name: "list", says: "it is the last of a List", write: asList}, latest, PinnedImages},
		{form{name: "list-first", says: "it is the first of a List", write: asListFirst}, owner, labels},
		{form{name: "documents", says: "it is the last document of several", write: asDocuments}, limits, Resources},
		{form{name: "documents-between", says: "it is between documents, some of them empty", write: asDocumentBetween}, latest, PinnedImages},
		{form{name: "anchors", says: "parts of it are anchors and aliases", write: asAnchors}, limits, Resources},
		{form{name: "merge-keys", says: "parts of it are merged in", write: asMerge}, root, NonRoot},
		{form{name: "flow", says: "it is one line of flow style", write: asFlow}, latest, PinnedImages},
		{form{name: "tabs", says: "tabs separate keys and values", write: asTabbed}, root, NonRoot},
		{form{name: "crlf", says: "lines end as on Windows", write: asCRLF}, latest, PinnedImages},
		{form{name: "quoted-keys", says: "keys are quoted", write: asQuotedKeys}, limits, Resources},
		{form{name: "block-scalar", says: "the image is a block scalar", write: asBlockScalar}, latest, PinnedImages},
		{form{name: "tagged", says: "values have YAML's own tags", write: asTagged}, latest, PinnedImages},
		{form{name: "complex-key", says: "a key is written with a question mark", write: asComplexKey}, latest, PinnedImages},
		{form{name: "commented", says: "it has comments and ends in dots", write: asCommented}, owner, labels},
		{form{name: "without-namespace", says: "it names no namespace", write: asYAML, anonymous: true}, root, NonRoot},
	} {
		all = append(all, twice(f.form, f.change, f.bad)...)
	}
	good := func(*target) {}
	return append(all,
		form{name: "duplicate-key", says: "the image is there twice", write: asDuplicateKey, change: good, want: Schema},
		form{name: "indented-by-tab", says: "a line is indented by a tab", write: asTabIndented, change: good, want: Schema},
		form{name: "cut-off", says: "its second half is missing", write: asCutOff, extension: "json", change: good, want: Schema},
	)
}

// yamlOf is an object's text with sorted keys.
func yamlOf(o object) ([]byte, error) { return yaml.Marshal(plain(o)) }

// plain is a copy without marks: null becomes nil.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = plain(value)
		}
		return out
	case null:
		return nil
	}
	return v
}

func asYAML(_ shape, o object) ([]byte, error) { return yamlOf(o) }

func asJSON(_ shape, o object) ([]byte, error) {
	return json.MarshalIndent(plain(o), "", "  ")
}

// neighbour is a good object of the same shape under another name.
func neighbour(s shape, o object, suffix string) object {
	n, from := s.object(), at(o, "metadata")
	metadata := at(n, "metadata")
	metadata["name"] = from["name"].(string) + suffix
	if namespace, ok := from["namespace"]; ok {
		metadata["namespace"] = namespace
	}
	return n
}

func list(items ...any) object { return object{"apiVersion": "v1", "kind": "List", "items": items} }

func asList(s shape, o object) ([]byte, error) { return yamlOf(list(neighbour(s, o, "-a"), o)) }

func asListFirst(s shape, o object) ([]byte, error) { return yamlOf(list(o, neighbour(s, o, "-a"))) }

func documents(objects ...object) ([]byte, error) {
	var texts []string
	for _, o := range objects {
		if o == nil {
			texts = append(texts, "# nothing\n")
			continue
		}
		text, err := yamlOf(o)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return []byte(strings.Join(texts, "---\n")), nil
}

func asDocuments(s shape, o object) ([]byte, error) {
	return documents(neighbour(s, o, "-a"), neighbour(s, o, "-b"), o)
}

func asDocumentBetween(s shape, o object) ([]byte, error) {
	return documents(nil, neighbour(s, o, "-a"), o, nil, neighbour(s, o, "-b"))
}

// rewrite replaces the lines with a key. The function gets what is before the
// key, its value, and spaces as wide as what is before the key.
func rewrite(o object, key string, to func(before, value, indent string) string) ([]byte, error) {
	text, err := yamlOf(o)
	if err != nil {
		return nil, err
	}
	expression := regexp.MustCompile(`(?m)^( *(?:- )*)` + key + `: (.+)$`)
	if !expression.Match(text) {
		return nil, fmt.Errorf("the manifest has no line with %s", key)
	}
	return expression.ReplaceAllFunc(text, func(found []byte) []byte {
		m := expression.FindSubmatch(found)
		before, value := string(m[1]), string(m[2])
		return []byte(to(before, value, strings.Repeat(" ", len(before))))
	}), nil
}

// asAnchors says owner and image once, in annotations that come before every
// place that repeats them.
func asAnchors(s shape, o object) ([]byte, error) {
	t := target{s, o}
	annotations := at(o, "metadata", "annotations")
	annotations["example.test/owner"] = "OWNER-ANCHOR"
	annotations["example.test/image"] = "IMAGE-ANCHOR"
	owner, reference := t.labels()[0]["owner"], t.container()["image"]
	for _, l := range t.labels() {
		l["owner"] = "OWNER-ALIAS"
	}
	t.container()["image"] = "IMAGE-ALIAS"
	text, err := yamlOf(o)
	if err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer(
		"OWNER-ANCHOR", fmt.Sprintf("&owner %q", owner), "OWNER-ALIAS", "*owner",
		"IMAGE-ANCHOR", fmt.Sprintf("&image %q", reference), "IMAGE-ALIAS", "*image",
	).Replace(string(text))), nil
}

// asMerge moves the container's security context into an init container, and
// merges it into a second one from there.
func asMerge(s shape, o object) ([]byte, error) {
	t := target{s, o}
	context, err := json.Marshal(plain(t.container()["securityContext"]))
	if err != nil {
		return nil, err
	}
	t.container()["securityContext"] = goodSecurity()
	first, second := goodContainer("first"), goodContainer("second")
	first["securityContext"], second["securityContext"] = "CONTEXT-ANCHOR", "CONTEXT-ALIAS"
	t.add("initContainers", first, second)
	text, err := yamlOf(o)
	if err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer("CONTEXT-ANCHOR", "&context "+string(context), "CONTEXT-ALIAS", "{<<: *context }").Replace(string(text))), nil
}

func asFlow(_ shape, o object) ([]byte, error) {
	var out strings.Builder
	out.WriteString("# one line\n")
	if err := flow(&out, plain(o)); err != nil {
		return nil, err
	}
	out.WriteString("\n")
	return []byte(out.String()), nil
}

func flow(out *strings.Builder, v any) error {
	switch v := v.(type) {
	case object:
		out.WriteString("{")
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(key + ": ")
			if err := flow(out, v[key]); err != nil {
				return err
			}
		}
		out.WriteString("}")
	case []any:
		out.WriteString("[")
		for i, value := range v {
			if i > 0 {
				out.WriteString(", ")
			}
			if err := flow(out, value); err != nil {
				return err
			}
		}
		out.WriteString("]")
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		out.Write(text)
	}
	return nil
}

// key is a key at the start of a line or of a list's entry.
var key = regexp.MustCompile(`(?m)^( *(?:- )*)([\w./-]+):`)

func asTabbed(_ shape, o object) ([]byte, error) {
	return rewrite(o, "image", func(before, value, indent string) string {
		return before + "image:\t\t" + value + "\t# a tab"
	})
}

func asCRLF(_ shape, o object) ([]byte, error) {
	text, err := yamlOf(o)
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), err
}

func asQuotedKeys(_ shape, o object) ([]byte, error) {
	text, err := yamlOf(o)
	return key.ReplaceAll(text, []byte(`$1"$2":`)), err
}

func asBlockScalar(_ shape, o object) ([]byte, error) {
	return rewrite(o, "image", func(before, value, indent string) string {
		return before + "image: >-\n" + indent + "  " + value
	})
}

func asTagged(_ shape, o object) ([]byte, error) {
	return rewrite(o, "image", func(before, value, indent string) string {
		return before + "image: !!str " + value
	})
}

func asComplexKey(_ shape, o object) ([]byte, error) {
	return rewrite(o, "image", func(before, value, indent string) string {
		return before + "? image\n" + indent + ": " + value
	})
}

func asCommented(_ shape, o object) ([]byte, error) {
	text, err := rewrite(o, "image", func(before, value, indent string) string {
		return before + "image: " + value + " # image: nginx:latest"
	})
	return slices.Concat([]byte("# image: nginx:latest\n---\n"), text, []byte("...\n")), err
}

func asDuplicateKey(_ shape, o object) ([]byte, error) {
	return rewrite(o, "image", func(before, value, indent string) string {
		return before + "image: " + value + "\n" + indent + "image: " + value
	})
}

func asTabIndented(_ shape, o object) ([]byte, error) {
	text, err := yamlOf(o)
	return bytes.Replace(text, []byte("metadata:\n"), []byte("metadata:\n\tgenerateName: a\n"), 1), err
}

func asCutOff(s shape, o object) ([]byte, error) {
	text, err := asJSON(s, o)
	return text[:len(text)/2], err
}
