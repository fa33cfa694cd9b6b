package serving

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	pulled    = "model-server"
	pulledUID = 65534
)

// pullModelServer registers a Job that has a node fetch the image of the first endpoints
// while the layers come up: it is the largest, and their pods would begin with it. Nobody
// waits for the Job.
func pullModelServer(ctx *pulumi.Context, name string, args *Args, parent pulumi.ResourceOption) error {
	job := manifest.Job(manifest.JobSpec{
		Namespace: layer.Namespace, Name: pulled + "-" + manifest.Hash(args.ModelServer), UID: pulledUID,
		Unawaited: true,
		Labels:    map[string]string{"app.kubernetes.io/part-of": "neuroscale", "neuroscale.dev/pulls": pulled},
		Container: manifest.Object{
			"name": "pull", "image": args.ModelServer, "command": []any{"python3", "--version"}, "resources": manifest.SmallResources(),
		},
	})
	set := manifest.NewSet(ctx, parent)
	set.Add(name+"-"+pulled, job, pulumi.DependsOn([]pulumi.Resource{args.Delivery.Namespace}), pulumi.DeletedWith(args.Delivery.Namespace))
	if err := set.Err(); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
