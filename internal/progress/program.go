package progress

import (
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Count wraps a program so that the tracker learns of every resource as soon as
// it is declared, long before the engine gets to it: that is the m in "n of m".
func (t *Tracker) Count(program pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var mu sync.Mutex
		phases := map[pulumi.Resource]string{}
		err := ctx.RegisterStackTransformation(func(a *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			options, err := pulumi.NewResourceOptions(a.Opts...)
			if err != nil {
				return nil
			}
			mu.Lock()
			parent := phases[options.Parent]
			_, custom := a.Resource.(pulumi.CustomResource)
			if !custom {
				phases[a.Resource] = phaseFor(a.Type, a.Name, parent)
			}
			mu.Unlock()
			if custom && !isProvider(a.Type) {
				if parent == "" {
					parent = Other
				}
				t.Declare(parent)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return program(ctx)
	}
}
