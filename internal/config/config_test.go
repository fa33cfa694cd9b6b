package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadOfNothingIsTheDefault(t *testing.T) {
	c, err := Load(nil)
	require.NoError(t, err)
	assert.Equal(t, Default(), c)
}

func TestLoadSetsWhatIsWrittenAndKeepsTheOtherDefaults(t *testing.T) {
	c, err := Load(map[string]string{
		"neuroscale:cluster":   `{"context":"lab","address":"10.88.0.2","deleteUnreachable":true,"storageClass":"gp3","imageRegistry":"localhost:5000/a/b-c"}`,
		"neuroscale:gitops":    `{"nodePort":31081}`,
		"neuroscale:serving":   `{"gateway":{"type":"LoadBalancer","annotations":{"a.example.org/b":"c"},"url":"https://g.example.org"},"defaultResources":{"cpu":1,"limits":{"cpu":"1500m"}},"registriesSkippingTagResolving":["docker.io","localhost:5000"],"scaleToZeroGracePeriod":"10s","auth":"none","authFailure":"open","keyRequestsPerMinute":60}`,
		"neuroscale:endpoints": `{"requeueSeconds":7}`,
		"kubernetes:context":   "somebody else's",
		"pulumi:tags":          `{"a":"b"}`,
	})
	require.NoError(t, err)
	want := Default()
	want.Cluster.Context, want.Cluster.Address, want.Cluster.DeleteUnreachable = "lab", "10.88.0.2", true
	want.Cluster.StorageClass, want.Cluster.ImageRegistry = "gp3", "localhost:5000/a/b-c"
	want.GitOps.NodePort = 31081
	want.Serving.Gateway = Gateway{NodePort: 30080, Type: ServiceLoadBalancer, Annotations: map[string]string{"a.example.org/b": "c"}, URL: "https://g.example.org"}
	want.Serving.DefaultResources.CPU = "1"
	want.Serving.DefaultResources.Limits.CPU = "1500m"
	want.Serving.RegistriesSkippingTagResolving = []string{"docker.io", "localhost:5000"}
	want.Serving.ScaleToZeroGracePeriod = Duration(10 * time.Second)
	want.Serving.Auth, want.Serving.AuthFailure, want.Serving.KeyRequestsPerMinute = AuthNone, FailOpen, 60
	want.Endpoints.RequeueSeconds = 7
	assert.Equal(t, want, c)
}

func TestLoadNamesEveryProblemInOneSentence(t *testing.T) {
	for name, test := range map[string]struct{ key, value, want string }{
		"unknown top-level key": {"servng", `{}`, "neuroscale:servng is not a key of the configuration: did you mean serving?"},
		"unknown top-level key like no other": {"qqqqqq", `{}`,
			"neuroscale:qqqqqq is not a key of the configuration: known there: cluster, cost, endpoints, forge, gitops, portal, serving, tenants, tls"},
		"unknown key": {"forge", `{"nodeport":30082}`,
			"neuroscale:forge.nodeport is not a key of neuroscale:forge: did you mean nodePort?"},
		"unknown key two levels down": {"serving", `{"defaultResources":{"limits":{"cpus":"1"}}}`,
			"neuroscale:serving.defaultResources.limits.cpus is not a key of neuroscale:serving.defaultResources.limits: did you mean cpu?"},
		"not an object": {"gitops", `30081`, "neuroscale:gitops is 30081: write an object with nodePort"},
		"plain text":    {"gitops", `on`, `neuroscale:gitops is "on": write an object with nodePort`},
		"text for a number": {"gitops", `{"nodePort":"30081"}`,
			`neuroscale:gitops.nodePort is "30081": write a whole number, without quotes`},
		"fraction": {"gitops", `{"nodePort":30081.5}`, "neuroscale:gitops.nodePort is 30081.5: write a whole number, without quotes"},
		"text for a truth value": {"cluster", `{"deleteUnreachable":"yes"}`,
			`neuroscale:cluster.deleteUnreachable is "yes": write true or false, without quotes`},
		"empty value": {"forge", `{"storage":null}`, "neuroscale:forge.storage is empty: write a text"},
		"one text for a list": {"serving", `{"registriesSkippingTagResolving":"docker.io"}`,
			`neuroscale:serving.registriesSkippingTagResolving is "docker.io": write a list`},
		"portal at a path": {"portal", `{"url":"https://example.org/portal"}`,
			`neuroscale:portal.url is "https://example.org/portal": write a URL such as https://portal.example.org, without a path`},
		"portal at an address without scheme": {"portal", `{"url":"portal.example.org"}`,
			`neuroscale:portal.url is "portal.example.org": write a URL such as https://portal.example.org, without a path`},
		"portal on another's port": {"portal", `{"nodePort":30082}`,
			"neuroscale:portal.nodePort is 30082: write another number, neuroscale:forge.nodePort has this one"},
		"a database without a server": {"portal", `{"database":{"user":"backstage"}}`,
			`neuroscale:portal.database.host is "": write the host name or IP address of a Postgres server, or leave the rest of neuroscale:portal.database out`},
		"a database at a URL": {"portal", `{"database":{"host":"postgres://db","passwordSecret":"a/b"}}`,
			`neuroscale:portal.database.host is "postgres://db": write a host name or an IP address, without scheme or port`},
		"a database without a password": {"portal", `{"database":{"host":"db"}}`,
			`neuroscale:portal.database.passwordSecret is "": write the namespace and name of a Secret with a password, such as databases/portal`},
		"a password that is written down": {"portal", `{"database":{"host":"db","passwordSecret":"hunter2"}}`,
			`neuroscale:portal.database.passwordSecret is "hunter2": write the namespace and name of a Secret with a password, such as databases/portal`},
		"a database with an odd name": {"portal", `{"database":{"host":"db","passwordSecret":"a/b","name":"a b"}}`,
			`neuroscale:portal.database.name is "a b": write at most 63 letters, digits, - and _, beginning with a letter or _`},
		"encryption of no kind": {"portal", `{"database":{"host":"db","passwordSecret":"a/b","sslMode":"prefer"}}`,
			`neuroscale:portal.database.sslMode is "prefer": write verify-full or require or disable`},
		"a port of no server": {"portal", `{"database":{"host":"db","passwordSecret":"a/b","port":0}}`,
			"neuroscale:portal.database.port is 0: write a number from 1 to 65535"},
		"registry with scheme": {"serving", `{"registriesSkippingTagResolving":["docker.io","https://gcr.io"]}`,
			`neuroscale:serving.registriesSkippingTagResolving[1] is "https://gcr.io": write the host name of a registry such as docker.io or localhost:5000`},
		"node port out of range": {"forge", `{"nodePort":3000}`, "neuroscale:forge.nodePort is 3000: write a number from 30000 to 32767"},
		"node port taken": {"forge", `{"nodePort":30081}`,
			"neuroscale:forge.nodePort is 30081: write another number, neuroscale:gitops.nodePort has this one"},
		"bad quantity": {"forge", `{"storage":"1 GB"}`,
			`neuroscale:forge.storage is "1 GB": write an amount such as 250m, 2 (CPU) or 512Mi, 1Gi (memory, storage)`},
		"a push of no size":     {"forge", `{"maxPush":"20 MB"}`, `neuroscale:forge.maxPush is "20 MB": write a size such as 20Mi or 1Gi`},
		"a push in thousandths": {"forge", `{"maxPush":"100m"}`, `neuroscale:forge.maxPush is "100m": write a size such as 20Mi or 1Gi`},
		"a push the platform's layers do not fit in": {"forge", `{"maxPush":"1Mi"}`,
			`neuroscale:forge.maxPush is "1Mi": write at least 2Mi, the layers of the platform are pushed as well`},
		"a push that no repository holds": {"forge", `{"maxPush":"200Mi"}`,
			`neuroscale:forge.maxPush is "200Mi": write at most 128Mi (neuroscale:forge.maxRepository), or raise that`},
		"a forge of no kind": {"forge", `{"provider":"gitlab"}`, `neuroscale:forge.provider is "gitlab": write gitea or github`},
		"repositories that fill the volume": {"forge", `{"maxRepository":"600Mi"}`,
			`neuroscale:forge.maxRepository is "600Mi": write at most 1Gi (neuroscale:forge.storage) divided by 2, the repositories of all tenants and the platform's own, or raise that`},
		"request above limit": {"serving", `{"defaultResources":{"memory":"2Gi"}}`,
			`neuroscale:serving.defaultResources.memory is "2Gi": write at most the limit 512Mi (neuroscale:serving.defaultResources.limits.memory), or raise that`},
		"bad duration":             {"serving", `{"stableWindow":60}`, "neuroscale:serving.stableWindow is 60: write a time such as 30s, 5m or 7d"},
		"duration too short":       {"serving", `{"stableWindow":"1s"}`, `neuroscale:serving.stableWindow is "1s": write a time from 6s to 1h`},
		"measured for hours only":  {"cost", `{"retention":"12h"}`, `neuroscale:cost.retention is "12h": write a time from 1d to 400d`},
		"days in words":            {"cost", `{"retention":"a few d"}`, `neuroscale:cost.retention is "a few d": write a time such as 30s, 5m or 7d`},
		"days and hours":           {"cost", `{"retention":"1d12h"}`, `neuroscale:cost.retention is "1d12h": write a time such as 30s, 5m or 7d`},
		"measured all the time":    {"cost", `{"interval":"1s"}`, `neuroscale:cost.interval is "1s": write a time from 10s to 1m`},
		"no room for a day":        {"cost", `{"storage":"100Mi"}`, `neuroscale:cost.storage is "100Mi": write at least 512Mi`},
		"storage of no size":       {"cost", `{"storage":"2G"}`, `neuroscale:cost.storage is "2G": write a size such as 20Mi or 1Gi`},
		"neither measured nor not": {"cost", `{"enabled":"yes"}`, `neuroscale:cost.enabled is "yes": write true or false, without quotes`},
		"the administrator's group": {"forge", `{"organization":"admin"}`,
			`neuroscale:forge.organization is "admin": write another name, Argo CD has its own use for this one`},
		"a role's group": {"forge", `{"organization":"role"}`,
			`neuroscale:forge.organization is "role": write another name, Argo CD has its own use for this one`},
		"bad domain":         {"serving", `{"domain":"local"}`, `neuroscale:serving.domain is "local": write a domain name such as neuroscale.test`},
		"auth of no kind":    {"serving", `{"auth":"basic"}`, `neuroscale:serving.auth is "basic": write keys or none`},
		"failing half open":  {"serving", `{"authFailure":"ajar"}`, `neuroscale:serving.authFailure is "ajar": write closed or open`},
		"a limit of nothing": {"serving", `{"keyRequestsPerMinute":0}`, "neuroscale:serving.keyRequestsPerMinute is 0: write a number from 1 to 1000000"},
		"generation zero":    {"serving", `{"platformKeyGeneration":0}`, "neuroscale:serving.platformKeyGeneration is 0: write a number from 1"},
		"too seldom":         {"endpoints", `{"requeueSeconds":0}`, "neuroscale:endpoints.requeueSeconds is 0: write a number from 1 to 3600"},
		"bad provider":       {"cluster", `{"provider":"kind"}`, `neuroscale:cluster.provider is "kind": write existing or docker`},
		"a kubeconfig beside Docker": {"cluster", `{"provider":"docker","kubeconfig":"/k"}`,
			`neuroscale:cluster.kubeconfig is "/k": write nothing, a cluster in Docker has one of its own`},
		"too many agents": {"cluster", `{"agents":9}`, "neuroscale:cluster.agents is 9: write a number from 0 to 8"},
		"agents of a node": {"cluster", `{"provider":"docker","distribution":"node","images":"/cache","agents":1}`,
			"neuroscale:cluster.agents is 1: write 0, or cluster.distribution k3s: node is one node"},
		"a node without images": {"cluster", `{"provider":"docker","distribution":"node"}`,
			"neuroscale:cluster.images is \"\": write the absolute path of the cache of `sealed`, from which the distribution node has its images"},
		"images of k3s": {"cluster", `{"provider":"docker","images":"/cache"}`,
			`neuroscale:cluster.images is "/cache": write nothing, or cluster.distribution node: k3s pulls its images`},
		"images built for a cluster that is there": {"cluster", `{"ownImages":"build"}`,
			`neuroscale:cluster.ownImages is "build": write pull, or cluster.provider docker: only a cluster that is made beside them has what is built here`},
		"images built for a node": {"cluster", `{"provider":"docker","distribution":"node","images":"/cache","ownImages":"build"}`,
			`neuroscale:cluster.ownImages is "build": write pull, or cluster.distribution k3s: node has all images in cluster.images`},
		"images built and in a registry": {"cluster", `{"provider":"docker","imageRegistry":"registry.example.org","ownImages":"build"}`,
			`neuroscale:cluster.ownImages is "build": write pull, or leave out cluster.imageRegistry, which has these images as well`},
		"images from nowhere": {"cluster", `{"ownImages":"compile"}`, `neuroscale:cluster.ownImages is "compile": write auto or build or pull`},
		"an API server at the forge's port": {"cluster", `{"provider":"docker","apiPort":30082}`,
			"neuroscale:cluster.apiPort is 30082: write another number, neuroscale:forge.nodePort has this one"},
		"a registry at the API server's port": {"cluster", `{"provider":"docker","registryPort":6550}`,
			"neuroscale:cluster.registryPort is 6550: write another number, neuroscale:cluster.apiPort has this one"},
		"a subnet that is one address": {"cluster", `{"subnet":"10.89.0.2"}`,
			`neuroscale:cluster.subnet is "10.89.0.2": write addresses such as 10.89.0.0/24, an IPv4 network from /16 to /27`},
		"a subnet among the pods": {"cluster", `{"subnet":"10.42.7.0/24"}`,
			`neuroscale:cluster.subnet is "10.42.7.0/24": write addresses such as 10.89.0.0/24, outside 10.42.0.0/16, where the pods are`},
		"a subnet around the Services": {"cluster", `{"subnet":"10.43.0.0/16"}`,
			`neuroscale:cluster.subnet is "10.43.0.0/16": write addresses such as 10.89.0.0/24, outside 10.43.0.0/16, where the Services are`},
		"memory that is not enough": {"cluster", `{"memory":"2Gi"}`,
			`neuroscale:cluster.memory is "2Gi": write at least 6Gi, the platform needs that`},
		"a mirror of nothing": {"cluster", `{"mirrors":[{"registry":"docker.io","endpoint":"mirror:5000"}]}`,
			`neuroscale:cluster.mirrors[0].endpoint is "mirror:5000": write a URL such as http://registry.example:5000`},
		"a mirror of a URL": {"cluster", `{"mirrors":[{"registry":"https://docker.io","endpoint":"http://mirror:5000"}]}`,
			`neuroscale:cluster.mirrors[0].registry is "https://docker.io": write the host name of a registry such as docker.io or localhost:5000`},
		"address with port": {"cluster", `{"address":"10.0.0.1:6443"}`,
			`neuroscale:cluster.address is "10.0.0.1:6443": write a host name or an IP address, without scheme or port`},
		"storage class with blanks": {"cluster", `{"storageClass":"the fast one"}`,
			`neuroscale:cluster.storageClass is "the fast one": write the name of a StorageClass such as gp3, see ` + "`kubectl get storageclass`"},
		"image registry with scheme": {"cluster", `{"imageRegistry":"https://registry.example.org"}`,
			`neuroscale:cluster.imageRegistry is "https://registry.example.org": write a registry and a folder in it, such as registry.example.org/mirror, without scheme and tag`},
		"image registry that ends in /": {"cluster", `{"imageRegistry":"registry.example.org/"}`,
			`neuroscale:cluster.imageRegistry is "registry.example.org/": write a registry and a folder in it, such as registry.example.org/mirror, without scheme and tag`},
		"image registry that is a folder of Docker Hub": {"cluster", `{"imageRegistry":"mirror"}`,
			`neuroscale:cluster.imageRegistry is "mirror": write a registry and a folder in it, such as registry.example.org/mirror, without scheme and tag`},
		"a gateway of no kind": {"serving", `{"gateway":{"type":"Ingress"}}`,
			`neuroscale:serving.gateway.type is "Ingress": write NodePort or LoadBalancer`},
		"a load balancer nobody knows the name of": {"serving", `{"gateway":{"type":"LoadBalancer"}}`,
			`neuroscale:serving.gateway.url is "": write the URL of a name that you give the load balancer's address, such as https://gateway.models.example.org`},
		"a gateway at a path": {"serving", `{"gateway":{"url":"https://models.example.org/v1"}}`,
			`neuroscale:serving.gateway.url is "https://models.example.org/v1": write a URL such as https://gateway.models.example.org, without a path`},
		"an annotation that is no text": {"serving", `{"gateway":{"annotations":{"example.org/internal":true}}}`,
			`neuroscale:serving.gateway.annotations.example.org/internal is true: write a text, in quotes`},
		"annotations in a list": {"serving", `{"gateway":{"annotations":["a=b"]}}`,
			`neuroscale:serving.gateway.annotations is ["a=b"]: write an object of texts`},
		"an annotation without a name": {"serving", `{"gateway":{"annotations":{"example.org/":"x"}}}`,
			`neuroscale:serving.gateway.annotations.example.org/ is "x": write the name of an annotation before it, such as example.org/scheme: name part must be non-empty`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(map[string]string{"neuroscale:" + test.key: test.value})
			require.EqualError(t, err, test.want)
		})
	}
}

func TestLoadReportsAllProblemsAtOnce(t *testing.T) {
	_, err := Load(map[string]string{
		"neuroscale:fogre":     `{}`,
		"neuroscale:gitops":    `{"nodePort":"x"}`,
		"neuroscale:serving":   `{"domian":"a.b","gateway":{"nodePort":1}}`,
		"neuroscale:endpoints": `{"requeueSeconds":-1}`,
	})
	require.Error(t, err)
	assert.Equal(t, []string{
		"neuroscale:fogre is not a key of the configuration: did you mean forge?",
		`neuroscale:gitops.nodePort is "x": write a whole number, without quotes`,
		"neuroscale:serving.domian is not a key of neuroscale:serving: did you mean domain?",
		"neuroscale:serving.gateway.nodePort is 1: write a number from 30000 to 32767",
		"neuroscale:endpoints.requeueSeconds is -1: write a number from 1 to 3600",
	}, strings.Split(err.Error(), "\n"))
}

func TestDurationIsWrittenAsPeopleWriteIt(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m",
		24 * time.Hour: "1d", 32 * 24 * time.Hour: "32d", 36 * time.Hour: "36h", 0: "0s",
	} {
		assert.Equal(t, want, Duration(d).String())
	}
}

func TestKeysAreTheSections(t *testing.T) {
	assert.Equal(t, []string{
		"neuroscale:cluster", "neuroscale:cost", "neuroscale:endpoints", "neuroscale:forge", "neuroscale:gitops",
		"neuroscale:portal", "neuroscale:serving", "neuroscale:tenants", "neuroscale:tls",
	}, Keys())
}

func TestOwnImagesAreBuiltWhereOnlyThatWorks(t *testing.T) {
	for settings, builds := range map[string]bool{
		`{}`:                    false,
		`{"provider":"docker"}`: true,
		`{"provider":"docker","ownImages":"build"}`:                                                true,
		`{"provider":"docker","ownImages":"pull"}`:                                                 false,
		`{"provider":"docker","imageRegistry":"registry.example.org"}`:                             false,
		`{"provider":"docker","distribution":"node","images":"/cache"}`:                            false,
		`{"provider":"docker","mirrors":[{"registry":"ghcr.io","endpoint":"http://mirror:5000"}]}`: true,
	} {
		c, err := Load(map[string]string{"neuroscale:cluster": settings})
		require.NoError(t, err, settings)
		assert.Equal(t, builds, c.Cluster.BuildsOwnImages(), settings)
	}
}
