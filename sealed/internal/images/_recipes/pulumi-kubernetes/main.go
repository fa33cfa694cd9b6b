// Pulumi's Kubernetes provider as a plugin.
package main

import (
	"bytes"
	_ "embed"
	"os"
	"time"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

//go:embed schema.json
var schema []byte

//go:embed mapping.json
var mapping []byte

func main() {
	go endWith(os.Getppid())
	// The schema in the module has every key but its version.
	versioned := bytes.Replace(schema, []byte("{"), []byte(`{"version": "`+version.Version+`",`), 1)
	provider.Serve("kubernetes", version.Version, versioned, mapping)
}

// endWith ends the plugin soon after its engine. Upstream asks every five minutes
// whether that one still answers, and for so long one that was killed leaves its
// plugin behind.
func endWith(engine int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != engine {
			os.Exit(1)
		}
	}
}
