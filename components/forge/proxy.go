package forge

import (
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	ownPort         = 3001 // of Gitea, on the pod's loopback
	certificateName = "gitea-certificate"
	certificateDir  = "/etc/forge/certificate"
	authorityName   = "gitea-authority"
	authorityDir    = "/etc/forge/authority"
)

func (a *Args) scheme() string { return scheme(a.HTTP) }

func scheme(plain bool) string {
	if plain {
		return "http"
	}
	return "https"
}

// Hosts are the names and addresses at which the forge is asked, where its node port
// is at address; also those of a port-forward.
func Hosts(address string) []string {
	return []string{Host, Host + ".cluster.local", address, "localhost", "127.0.0.1", "::1"}
}

// proxyContainer answers for Gitea, which nobody else reaches. It is ready when Gitea
// is.
func proxyContainer(args *Args) manifest.Object {
	proxyArgs := []any{fmt.Sprintf("--listen=:%d", Port), fmt.Sprintf("--upstream=http://127.0.0.1:%d", ownPort), "--checker=" + Guard, "--public-url=" + args.url()}
	scheme := "HTTP"
	if !args.HTTP {
		proxyArgs, scheme = append(proxyArgs, "--certificate="+certificateDir), "HTTPS"
	}
	health := func(period, failures int) manifest.Object {
		return manifest.Object{
			"httpGet":       manifest.Object{"path": "/api/healthz", "port": "proxy", "scheme": scheme},
			"periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 5,
		}
	}
	return manifest.Container(manifest.Object{
		"name": "proxy", "image": args.ProxyImage, "args": proxyArgs,
		"ports":        []any{manifest.Object{"name": "proxy", "containerPort": Port, "protocol": "TCP"}},
		"volumeMounts": []any{manifest.Mount("certificate", certificateDir, true)},
		"resources": manifest.Object{
			"requests": manifest.Object{"cpu": "10m", "memory": "16Mi"},
			"limits":   manifest.Object{"memory": "96Mi"},
		},
		"startupProbe":   health(1, 120),
		"readinessProbe": health(2, 3),
	})
}

// lives is how Gitea is asked whether it does: the kubelet does not reach it, either.
func lives() manifest.Object {
	return manifest.Object{
		"exec": manifest.Object{"command": []any{
			"curl", "--silent", "--fail", "--output", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d/api/healthz", ownPort),
		}},
		"initialDelaySeconds": 60, "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5,
	}
}
