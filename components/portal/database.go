package portal

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

//go:embed database.js
var databaseScript string

const (
	databaseCheck       = "portal-database"
	databasePasswordKey = "DATABASE_PASSWORD"
	// passwordKey is what the Secret of the settings has it under.
	passwordKey = "password"
	uid         = 1000 // of the image's user
	checkFolder = "/etc/check"
	// databaseTries leave a database that starts along with the cluster half a minute.
	databaseTries = 3
)

// postgres is how the portal's own configuration says it. A role that may make schemas
// need not be one that makes databases.
func postgres(d config.PortalDatabase) map[string]any {
	connection := map[string]any{
		"host": d.Host, "port": d.Port, "database": d.Name, "user": d.User, "password": "${" + databasePasswordKey + "}",
	}
	if d.SSLMode != config.SSLDisable {
		connection["ssl"] = map[string]any{"rejectUnauthorized": d.SSLMode == config.SSLVerifyFull}
	}
	return map[string]any{
		"client": "pg", "pluginDivisionMode": "schema", "ensureExists": false, "ensureSchemaExists": true, "connection": connection,
	}
}

// foundSecret is a Secret that is somebody else's.
type foundSecret struct {
	pulumi.CustomResourceState
	Data pulumi.StringMapOutput `pulumi:"data"`
}

// databasePassword reads the password that somebody has put into a Secret.
func databasePassword(ctx *pulumi.Context, name string, d config.PortalDatabase, parent pulumi.ResourceOption) (pulumi.StringOutput, error) {
	var found foundSecret
	if err := ctx.ReadResource(manifest.Token("v1", "Secret"), name+"-database", pulumi.ID(d.PasswordSecret), nil, &found,
		parent, pulumi.AdditionalSecretOutputs([]string{"data", "stringData"})); err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("portal: Secret %s: %w", d.PasswordSecret, err)
	}
	password := found.Data.ApplyT(func(data map[string]string) (string, error) {
		text, err := base64.StdEncoding.DecodeString(data[passwordKey])
		if err != nil || len(text) == 0 {
			return "", fmt.Errorf("%s:portal.database.passwordSecret is %q: that Secret has no %s", config.Namespace, d.PasswordSecret, passwordKey)
		}
		return string(text), nil
	})
	return pulumi.ToSecret(password).(pulumi.StringOutput), nil
}

// checkDatabase registers a Job that ends when the database takes the portal: a portal
// that it does not take would start again and again and say why to nobody.
func checkDatabase(ctx *pulumi.Context, name string, args *Args, environment pulumi.StringOutput, needs []pulumi.Resource, opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	d := args.Settings.Database
	set := manifest.NewSet(ctx, opts...)
	scripts := databaseCheck + "-" + manifest.Hash(databaseScript)
	needs = append(needs, set.Add(name+"-database", manifest.ConfigMap(Namespace, scripts, map[string]string{"database.js": databaseScript}), pulumi.DependsOn(needs)))
	env := []any{manifest.Object{
		"name":      "PGPASSWORD",
		"valueFrom": manifest.Object{"secretKeyRef": manifest.Object{"name": SiteSecret, "key": databasePasswordKey}},
	}}
	for _, pair := range [][2]string{
		{"PGHOST", d.Host}, {"PGPORT", strconv.Itoa(d.Port)}, {"PGDATABASE", d.Name}, {"PGUSER", d.User},
		{"SSL_MODE", d.SSLMode},
		{"NODE_EXTRA_CA_CERTS", "/etc/portal/authority/" + certificates.AuthorityKey},
		{"NODE_PATH", "/app/node_modules"},
	} {
		env = append(env, manifest.Object{"name": pair[0], "value": pair[1]})
	}
	job := set.Add(name+"-database", manifest.Job(manifest.JobSpec{
		Namespace: Namespace, UID: uid,
		Name:   databaseCheck + "-" + manifest.Hash(databaseScript, args.Image, d.Host, strconv.Itoa(d.Port), d.Name, d.User, d.SSLMode),
		Labels: map[string]string{"app.kubernetes.io/name": databaseCheck},
		// Another password is tried anew.
		Annotations: manifest.Object{"neuroscale.dev/site": environment},
		Container: manifest.Object{
			"name": "check", "image": args.Image, "command": []any{"node", checkFolder + "/database.js"}, "env": env,
			"volumeMounts": []any{manifest.Mount("script", checkFolder, true), manifest.Mount("authority", "/etc/portal/authority", true)},
			"resources":    manifest.SmallResources(),
		},
		Volumes: []any{manifest.ConfigMapVolume("script", scripts), manifest.ConfigMapVolume("authority", authority)},
		Tries:   databaseTries,
	}), manifest.JobTimeout(), pulumi.DependsOn(needs))
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return job, nil
}
