// The Pulumi program of NeuroScale: `pulumi up` in this folder runs it.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/stacks"
)

func main() { pulumi.Run(stacks.Program) }
