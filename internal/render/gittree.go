package render

import (
	"bytes"
	"crypto/sha1"
	"fmt"
)

// GitObject is the name Git gives a blob, tree or commit.
func GitObject(kind string, content []byte) [sha1.Size]byte {
	return sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content))
}

// GitTree is the name Git gives the folder that Archive packs: files only, none of
// which is a program.
func (t *Tree) GitTree() [sha1.Size]byte {
	var entries bytes.Buffer
	for _, f := range t.files {
		blob := GitObject("blob", f.data)
		fmt.Fprintf(&entries, "100644 %s\x00%s", f.name, blob[:])
	}
	return GitObject("tree", entries.Bytes())
}
