package argocd

import (
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// PasswordOf are the logical names of what Admin's password is in an Argo CD of the
// given name: the password itself and the key of the sessions that it began.
func PasswordOf(name string) []string { return []string{name + "-admin", name + "-server-key"} }

// partOf makes Argo CD watch a Secret.
var partOf = map[string]string{"app.kubernetes.io/part-of": "argocd"}

// settingsSecret is complete from the start, so Argo CD never writes to it.
func settingsSecret(passwords map[string]*random.RandomPassword, webhook pulumi.StringInput) manifest.Object {
	unused := passwords["unused-webhooks"].Result
	return manifest.Secret(Namespace, "argocd-secret", partOf, map[string]pulumi.StringInput{
		"admin.password": passwords["admin"].BcryptHash,
		// Sessions older than this end; those of an old password end with the
		// key that is made anew with it.
		"admin.passwordMtime": pulumi.String("2000-01-01T00:00:00Z"),
		"server.secretkey":    passwords["server-key"].Result,
		// Gitea signs like Gogs, and Argo CD reads it as such.
		"webhook.gogs.secret": webhook,
		// Of a kind without a secret Argo CD believes everything. Nobody sends
		// these, so nobody is told theirs.
		"webhook.github.secret":          unused,
		"webhook.gitlab.secret":          unused,
		"webhook.bitbucket.uuid":         unused,
		"webhook.bitbucketserver.secret": unused,
		"webhook.azuredevops.username":   unused,
		"webhook.azuredevops.password":   unused,
	})
}

func redisSecret(password *random.RandomPassword) manifest.Object {
	return manifest.Secret(Namespace, "argocd-redis", partOf, map[string]pulumi.StringInput{"auth": password.Result})
}

// trustConfigMap has Argo CD believe the forge's certificate, by the forge's name.
func trustConfigMap(authority pulumi.StringInput) manifest.Object {
	return manifest.Object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": manifest.Object{
			"name": "argocd-tls-certs-cm", "namespace": Namespace,
			"labels": manifest.Object{"app.kubernetes.io/name": "argocd-tls-certs-cm", "app.kubernetes.io/part-of": "argocd"},
		},
		"data": manifest.Object{forge.Host: authority},
	}
}

// RepositorySecret gives one project read access to one repository; name says
// which of Argo CD's repositories it is.
func RepositorySecret(name, project string, r forge.Repository) manifest.Object {
	values := map[string]pulumi.StringInput{
		"type":    pulumi.String("git"),
		"project": pulumi.String(project),
		"url":     pulumi.String(r.ReadURL()),
	}
	if r.DeployURL != "" {
		values["sshPrivateKey"] = r.DeployKey
	} else {
		values["username"], values["password"] = pulumi.String(r.Reader.Username), r.Reader.Password
	}
	return manifest.Secret(Namespace, "repository-"+name, map[string]string{
		"app.kubernetes.io/part-of":      "argocd",
		"argocd.argoproj.io/secret-type": "repository",
	}, values)
}
