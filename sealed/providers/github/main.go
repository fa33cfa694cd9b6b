// Command github is Pulumi's provider of GitHub as a plugin: Terraform's provider of the
// commit that the released plugin is made of, and Pulumi's bridge to it.
package main

import (
	_ "embed"
	"os"
	"time"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// schema is made by tfgen of what provider says; its test writes it anew with -update.
//
//go:embed schema.json
var schema []byte

func main() {
	go endWith(os.Getppid())
	tfbridge.Main(name, version, provider(), schema)
}

// endWith ends the plugin soon after its engine: one that was killed says no good-bye.
func endWith(engine int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != engine {
			os.Exit(1)
		}
	}
}
