package layer

import (
	"fmt"

	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// signature is of whom and when git.sh says that every commit is.
const signature = "NeuroScale <neuroscale@forge.invalid> 946684800 +0000"

// commitOf is the name of the commit that push.sh makes of a tree: known before
// there is one, so that an Application can ask for it and for nothing else.
func commitOf(tree *render.Tree, message string) string {
	text := fmt.Sprintf("tree %x\nauthor %s\ncommitter %s\n\n%s\n", tree.GitTree(), signature, signature, message)
	return fmt.Sprintf("%x", render.GitObject("commit", []byte(text)))
}

// message of the commit of a layer.
func (l *Layer) message() string { return fmt.Sprintf("Layer %s %s", l.Name, l.Hash) }
