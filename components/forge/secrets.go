package forge

import (
	"encoding/base64"
	"fmt"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// secrets are everything random in the forge. They are letters and digits only,
// so that they need no quoting in an ini file, JSON or curl's configuration.
type secrets struct {
	admin, reader, writer, webhook           pulumi.StringOutput
	secretKey, internalToken, oauthJWTSecret pulumi.StringOutput
}

func newSecrets(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*secrets, error) {
	s := &secrets{}
	for _, each := range []struct {
		name   string
		length int
		to     *pulumi.StringOutput
	}{
		{"admin", 24, &s.admin},
		{"reader", 32, &s.reader},
		{"writer", 32, &s.writer},
		{"webhook", 32, &s.webhook},
		{"secret-key", 64, &s.secretKey},
		{"internal-token", 64, &s.internalToken},
		{"oauth", 32, &s.oauthJWTSecret},
	} {
		password, err := random.NewRandomPassword(ctx, name+"-"+each.name, &random.RandomPasswordArgs{
			Length:  pulumi.Int(each.length),
			Special: pulumi.Bool(false),
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("forge: secret %s: %w", each.name, err)
		}
		*each.to = pulumi.ToSecret(password.Result).(pulumi.StringOutput)
	}
	// Gitea wants exactly 32 bytes in URL-safe base64 here.
	s.oauthJWTSecret = s.oauthJWTSecret.ApplyT(func(value string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(value))
	}).(pulumi.StringOutput)
	return s, nil
}

// checksum changes with any of the secrets, so that what reads them only once
// runs again. It tells nothing about them.
func (s *secrets) checksum() pulumi.StringOutput {
	sum := pulumi.All(s.admin, s.reader, s.writer, s.webhook, s.secretKey, s.internalToken, s.oauthJWTSecret).
		ApplyT(func(values []any) string {
			parts := []string{}
			for _, value := range values {
				parts = append(parts, value.(string))
			}
			return manifest.Hash(parts...)
		})
	return pulumi.Unsecret(sum).(pulumi.StringOutput)
}
