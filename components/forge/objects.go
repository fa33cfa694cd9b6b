package forge

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

var (
	//go:embed app.ini
	appIni string
	//go:embed init.sh
	initScript string
	//go:embed bootstrap.sh
	bootstrapScript string
	//go:embed limits.sh
	limitsScript string
)

const (
	uid          = 1000 // of the user git in Gitea's rootless image
	settingsName = "gitea-settings"
	accountsName = "gitea-accounts"
	membersName  = "gitea-members"
	Volume       = "gitea"
	workDir      = "/var/lib/gitea"
	accountsDir  = "/etc/forge/accounts"
	membersDir   = "/etc/forge/members"
	scriptsDir   = "/etc/forge/scripts"
	// Another name than it had when it was immutable, which cannot be undone.
	limitsName    = "gitea-push-limits"
	limitsDir     = "/etc/forge/limits"
	webhookSecret = "webhook"
	guardHook     = "guard-hook"

	// teamPrefix keeps the names of teams apart from those Gitea has itself.
	teamPrefix = "tenant-"
	// mergersSuffix makes the name of the team that merges: no namespace has a dot.
	mergersSuffix = ".mergers"
)

func scriptsName(args *Args) string {
	return "gitea-scripts-" + manifest.Hash(initScript, bootstrapScript, pushScript(args))
}

func scriptsConfigMap(args *Args) manifest.Object {
	return manifest.ConfigMap(Namespace, scriptsName(args), map[string]string{
		"init.sh": initScript, "bootstrap.sh": bootstrapScript, "limits.sh": pushScript(args),
	})
}

// pushScript is limitsScript with whom it asks, and who need not.
func pushScript(args *Args) string {
	return strings.NewReplacer("@PASSED_URL@", args.PassedURL, "@ADMIN@", Admin).Replace(limitsScript)
}

// limitsConfigMap is what limits.sh goes by. It is read at every push, so that a
// new tenant does not restart the server.
func limitsConfigMap(args *Args) manifest.Object {
	lines := []string{
		"unlimited " + args.Organization + "/" + Platform,
		"folder " + args.Folder,
		fmt.Sprintf("kibibytes %d", args.MaxRepository>>10),
	}
	for _, f := range args.Folders {
		lines = append(lines, fmt.Sprintf("folders %d %s", f.Most, strings.Join(f.Repositories, " ")))
	}
	return manifest.Settings(Namespace, limitsName, map[string]string{"limits": strings.Join(lines, "\n") + "\n"})
}

// settings are appIni with all but its secrets.
func settings(args *Args) string {
	return strings.NewReplacer(
		"@ROOT_URL@", args.internalURL()+"/",
		"@ISSUER@", args.issuer(),
		"@PORT@", strconv.Itoa(ownPort),
		"@MAX_PUSH@", strconv.FormatInt(args.MaxPush, 10),
		"@MAX_PUSH_MB@", strconv.FormatInt(args.MaxPush>>20, 10),
	).Replace(appIni)
}

// appIniSecret is Gitea's whole configuration: it holds three secrets.
func appIniSecret(args *Args, s *secrets) manifest.Object {
	text := pulumi.All(s.secretKey, s.internalToken, s.oauthJWTSecret).ApplyT(func(values []any) string {
		return strings.NewReplacer(
			"@SECRET_KEY@", values[0].(string),
			"@INTERNAL_TOKEN@", values[1].(string),
			"@JWT_SECRET@", values[2].(string),
		).Replace(settings(args))
	}).(pulumi.StringOutput)
	return manifest.Secret(Namespace, settingsName, nil, map[string]pulumi.StringInput{"app.ini": text})
}

func accountsSecret(s *secrets) manifest.Object {
	return manifest.Secret(Namespace, accountsName, nil, map[string]pulumi.StringInput{
		Admin: s.admin, Reader: s.reader, writer: s.writer, webhookSecret: s.webhook,
		Guard: s.guard, guardHook: s.guardHook,
	})
}

// membersSecret is apart from the accounts', which the server's pod has.
func membersSecret(s *secrets) manifest.Object {
	values := map[string]pulumi.StringInput{}
	for member, password := range s.members {
		values[member] = password
	}
	return manifest.Secret(Namespace, membersName, nil, values)
}

// teams has a line for each tenant: its team, its repositories, its members, who of
// them merges and how many have to approve.
func teams(args *Args) string {
	var lines []string
	for _, t := range args.Teams {
		var repositories []string
		for _, repository := range t.Repositories {
			repositories = append(repositories, args.Organization+"/"+repository)
		}
		lines = append(lines, teamPrefix+t.Name+"|"+strings.Join(repositories, " ")+"|"+strings.Join(t.Members, " ")+
			"|"+strings.Join(t.Mergers, " ")+"|"+strconv.Itoa(t.Approvals))
	}
	return strings.Join(lines, "\n")
}

func volumeClaim(storage, class string) manifest.Object {
	spec := manifest.Claim(storage, class)
	spec["accessModes"] = []any{"ReadWriteOnce"}
	return manifest.Object{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": manifest.Object{
			"name": Volume, "namespace": Namespace,
			// A class that binds with the first pod never binds before it.
			"annotations": manifest.Object{"pulumi.com/skipAwait": "true"},
		},
		"spec": spec,
	}
}

func labels() manifest.Object { return manifest.Object{"app.kubernetes.io/name": Service} }

func serviceObject(args *Args) manifest.Object {
	return manifest.Object{
		"apiVersion": "v1", "kind": "Service",
		"metadata": manifest.Object{"name": Service, "namespace": Namespace, "labels": labels()},
		"spec": manifest.Object{
			"type":     "NodePort",
			"selector": labels(),
			"ports": []any{manifest.Object{
				"name": args.scheme(), "port": Port, "targetPort": "proxy", "nodePort": args.NodePort, "protocol": "TCP",
			}},
		},
	}
}

// environment of every process of Gitea: it insists on the name of its user,
// which an arbitrary uid need not have in /etc/passwd.
func environment() []any {
	return []any{
		manifest.Object{"name": "USER", "value": "git"},
		manifest.Object{"name": "HOME", "value": workDir},
		manifest.Object{"name": "GITEA_WORK_DIR", "value": workDir},
		manifest.Object{"name": "GITEA_CUSTOM", "value": workDir + "/custom"},
		manifest.Object{"name": "TMPDIR", "value": "/tmp"},
	}
}

// scriptEnvironment is what both scripts go by.
func scriptEnvironment() []any {
	return []any{
		manifest.Object{"name": "ADMIN", "value": Admin},
		manifest.Object{"name": "ACCOUNTS", "value": accountsDir},
		manifest.Object{"name": "SCRIPTS", "value": scriptsDir},
		manifest.Object{"name": "WORK", "value": "/tmp"},
	}
}

func deployment(args *Args, checksum pulumi.StringInput) manifest.Object {
	mounts := []any{
		manifest.Mount("data", workDir, false),
		manifest.Mount("scratch", "/tmp", false),
		manifest.Mount("settings", "/etc/gitea", true),
	}
	memory := manifest.Object{
		"requests": manifest.Object{"cpu": "20m", "memory": "128Mi"},
		"limits":   manifest.Object{"memory": "384Mi"},
	}
	initContainer := manifest.Container(manifest.Object{
		"name": "init", "image": args.Image,
		"command": []any{"bash", scriptsDir + "/init.sh"},
		"env":     append(environment(), scriptEnvironment()...),
		"volumeMounts": append([]any{
			manifest.Mount("accounts", accountsDir, true),
			manifest.Mount("scripts", scriptsDir, true),
		}, mounts...),
		"resources": memory,
	})
	server := manifest.Container(manifest.Object{
		"name": Service, "image": args.Image,
		"command": []any{"/app/gitea/gitea", "web", "--config", "/etc/gitea/app.ini"},
		"env": append(environment(),
			// Hooks believe who the authority knows, and nobody else.
			manifest.Object{"name": "SSL_CERT_FILE", "value": authorityDir + "/" + certificates.AuthorityKey},
			manifest.Object{"name": "SSL_CERT_DIR", "value": authorityDir},
		),
		"volumeMounts":  append([]any{manifest.Mount("limits", limitsDir, true), manifest.Mount("authority", authorityDir, true)}, mounts...),
		"resources":     memory,
		"livenessProbe": lives(),
	})
	return manifest.Object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": manifest.Object{"name": Service, "namespace": Namespace, "labels": labels()},
		"spec": manifest.Object{
			"replicas": 1,
			// Two servers must never share the database file.
			"strategy": manifest.Object{"type": "Recreate"},
			"selector": manifest.Object{"matchLabels": labels()},
			"template": manifest.Object{
				"metadata": manifest.Object{
					"labels": labels(),
					"annotations": manifest.Object{
						"neuroscale.dev/settings": manifest.Hash(settings(args)),
						"neuroscale.dev/secrets":  checksum,
						// Read once, when it starts.
						"neuroscale.dev/authority": checksumOf(args.Authority),
					},
				},
				"spec": manifest.Object{
					"automountServiceAccountToken":  false,
					"enableServiceLinks":            false,
					"terminationGracePeriodSeconds": 5,
					"securityContext": manifest.Object{
						"runAsUser": uid, "runAsGroup": uid, "fsGroup": uid, "runAsNonRoot": true,
					},
					"initContainers": []any{initContainer},
					"containers":     []any{server, proxyContainer(args)},
					"volumes": []any{
						manifest.Object{"name": "data", "persistentVolumeClaim": manifest.Object{"claimName": Volume}},
						manifest.Object{"name": "scratch", "emptyDir": manifest.Object{"sizeLimit": "256Mi"}},
						manifest.SecretVolume("settings", settingsName),
						manifest.SecretVolume("accounts", accountsName),
						manifest.ConfigMapVolume("scripts", scriptsName(args)),
						manifest.ConfigMapVolume("limits", limitsName),
						manifest.SecretVolume("certificate", certificateName),
						manifest.ConfigMapVolume("authority", authorityName),
					},
				},
			},
		},
	}
}

// bootstrapJob is named by all that it does, so a change runs it again.
func bootstrapJob(args *Args, checksum pulumi.StringInput) manifest.Object {
	repositories := strings.Join(args.Repositories, " ")
	name := "gitea-bootstrap-" + manifest.Hash(bootstrapScript, args.Image, args.Organization, args.WebhookURL, args.GuardURL, args.FollowerURL, args.GuardContext,
		args.internalURL(), repositories, teams(args))
	env := scriptEnvironment()
	for _, pair := range [][2]string{
		{"FORGE_URL", args.internalURL()},
		{"CURL_CA_BUNDLE", authorityDir + "/" + certificates.AuthorityKey},
		{"READER", Reader},
		{"WRITER", writer},
		{"ORGANIZATION", args.Organization},
		{"PLATFORM", Platform},
		{"REPOSITORIES", repositories},
		{"MEMBERS", membersDir},
		{"TEAM_PREFIX", teamPrefix},
		{"TEAMS", teams(args)},
		{"MERGERS", mergersSuffix},
		{"WEBHOOK_URL", args.WebhookURL},
		{"GUARD", Guard},
		{"GUARD_URL", args.GuardURL},
		{"FOLLOWER_URL", args.FollowerURL},
		{"GUARD_CONTEXT", args.GuardContext},
	} {
		env = append(env, manifest.Object{"name": pair[0], "value": pair[1]})
	}
	return manifest.Job(manifest.JobSpec{
		Namespace: Namespace, Name: name, UID: uid,
		Labels:      map[string]string{"app.kubernetes.io/name": "gitea-bootstrap"},
		Annotations: manifest.Object{"neuroscale.dev/secrets": checksum},
		Container: manifest.Object{
			"name": "bootstrap", "image": args.Image,
			"command": []any{"bash", scriptsDir + "/bootstrap.sh"},
			"env":     env,
			"volumeMounts": []any{
				manifest.Mount("accounts", accountsDir, true),
				manifest.Mount("members", membersDir, true),
				manifest.Mount("scripts", scriptsDir, true),
				manifest.Mount("authority", authorityDir, true),
				manifest.Mount("scratch", "/tmp", false),
			},
			"resources": manifest.SmallResources(),
		},
		Volumes: []any{
			manifest.SecretVolume("accounts", accountsName),
			manifest.SecretVolume("members", membersName),
			manifest.ConfigMapVolume("scripts", scriptsName(args)),
			manifest.ConfigMapVolume("authority", authorityName),
			manifest.ScratchVolume("scratch"),
		},
	})
}
