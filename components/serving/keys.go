package serving

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

// platformSecretLength in letters and digits is more than 160 bits.
const platformSecretLength = 40

// newKeys makes the platform's own key and the namespace that all keys are in.
// People's keys are in a Secret that is not made here, so that nobody puts it back:
// the command line makes it with the first key.
func newKeys(ctx *pulumi.Context, name string, s config.Serving, parent pulumi.ResourceOption) (token pulumi.StringOutput, ready []pulumi.Resource, err error) {
	secret, err := random.NewRandomPassword(ctx, name+"-platform-key", &random.RandomPasswordArgs{
		Length: pulumi.Int(platformSecretLength), Special: pulumi.Bool(false),
		Keepers: pulumi.StringMap{"generation": pulumi.String(strconv.Itoa(s.PlatformKeyGeneration))},
	}, parent)
	if err != nil {
		return token, nil, fmt.Errorf("serving: platform key: %w", err)
	}
	token = pulumi.ToSecret(secret.Result.ApplyT(func(secret string) string {
		return keys.Token(keys.PlatformID, secret)
	})).(pulumi.StringOutput)
	stored := token.ApplyT(func(token string) (string, error) {
		// Neither a limit nor an end, and the same for the same token.
		text, err := keys.Encode(keys.Key{
			ID: keys.PlatformID, Tenant: keys.EveryTenant, Hash: keys.Hash(token), Note: "the platform's own",
		})
		return string(text), err
	}).(pulumi.StringOutput)

	set := manifest.NewSet(ctx, parent)
	object := manifest.Namespace(DoorkeeperNamespace)
	object["metadata"].(manifest.Object)["labels"] = manifest.Object{"pod-security.kubernetes.io/enforce": "restricted"}
	ns := set.Add(name+"-doorkeeper", object)
	inside := []pulumi.ResourceOption{pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns})}
	ready = []pulumi.Resource{
		ns,
		set.Add(name+"-platform-keys", manifest.Secret(DoorkeeperNamespace, keys.PlatformSecret, nil,
			map[string]pulumi.StringInput{keys.PlatformID: stored}), inside...),
		set.Add(name+"-platform-token", manifest.Secret(DoorkeeperNamespace, keys.TokenSecret, nil,
			map[string]pulumi.StringInput{keys.TokenField: token}), inside...),
	}
	return token, ready, set.Err()
}
