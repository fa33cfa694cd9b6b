package forge

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// secrets are everything random in the forge. They are letters and digits only,
// so that they need no quoting in an ini file, JSON or curl's configuration.
type secrets struct {
	admin, reader, writer, webhook           pulumi.StringOutput
	guard, guardHook                         pulumi.StringOutput
	secretKey, internalToken, oauthJWTSecret pulumi.StringOutput
	members                                  map[string]pulumi.StringOutput // by account
}

func newSecrets(ctx *pulumi.Context, name string, members []string, opts ...pulumi.ResourceOption) (*secrets, error) {
	s := &secrets{members: map[string]pulumi.StringOutput{}}
	generate := func(logical string, length int) (pulumi.StringOutput, error) {
		password, err := random.NewRandomPassword(ctx, logical, &random.RandomPasswordArgs{
			Length:  pulumi.Int(length),
			Special: pulumi.Bool(false),
		}, opts...)
		if err != nil {
			return pulumi.StringOutput{}, fmt.Errorf("forge: secret %s: %w", logical, err)
		}
		return pulumi.ToSecret(password.Result).(pulumi.StringOutput), nil
	}
	for _, each := range []struct {
		logical string
		length  int
		to      *pulumi.StringOutput
	}{
		{PasswordOf(name, Admin), 24, &s.admin},
		{name + "-reader", 32, &s.reader},
		{name + "-writer", 32, &s.writer},
		{name + "-webhook", 32, &s.webhook},
		{name + "-guard", 32, &s.guard},
		{name + "-guard-hook", 32, &s.guardHook},
		{name + "-secret-key", 64, &s.secretKey},
		{name + "-internal-token", 64, &s.internalToken},
		{name + "-oauth", 32, &s.oauthJWTSecret},
	} {
		var err error
		if *each.to, err = generate(each.logical, each.length); err != nil {
			return nil, err
		}
	}
	for _, member := range members {
		var err error
		if s.members[member], err = generate(PasswordOf(name, member), 24); err != nil {
			return nil, err
		}
	}
	// Gitea wants exactly 32 bytes in URL-safe base64 here.
	s.oauthJWTSecret = s.oauthJWTSecret.ApplyT(func(value string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(value))
	}).(pulumi.StringOutput)
	return s, nil
}

// checksum changes with any of the secrets that the server has, so that what reads
// them only once runs again. It tells nothing about them.
func (s *secrets) checksum() pulumi.StringOutput {
	return checksumOf(s.admin, s.reader, s.writer, s.webhook, s.guard, s.guardHook, s.secretKey, s.internalToken, s.oauthJWTSecret)
}

// checksumWithMembers also changes with a member's password, which is no reason to
// start the server again.
func (s *secrets) checksumWithMembers() pulumi.StringOutput {
	values := []any{s.checksum()}
	for _, member := range slices.Sorted(maps.Keys(s.members)) {
		values = append(values, s.members[member])
	}
	return checksumOf(values...)
}

func checksumOf(values ...any) pulumi.StringOutput {
	sum := pulumi.All(values...).ApplyT(func(values []any) string {
		parts := []string{}
		for _, value := range values {
			parts = append(parts, value.(string))
		}
		return manifest.Hash(parts...)
	})
	return pulumi.Unsecret(sum).(pulumi.StringOutput)
}
