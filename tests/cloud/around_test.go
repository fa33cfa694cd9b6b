package cloud

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// mirror has copies of the platform's images.
const mirror = "registry.example.org/mirror"

// comesUpAsACloud brings a node up with what is around it in a cloud: names, an
// authority, a storage class, a registry, and load balancers.
func (p *platform) comesUpAsACloud(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	rig.Succeed(ctx, t, p.node.Up())
	var err error
	p.env, err = p.node.Environment(ctx)
	require.NoError(t, err)
	p.kubeconfig(ctx, t)
	record, err := p.node.Record()
	require.NoError(t, err)
	host := net.IPv4(10, 88, byte(record.Index), 1).String()
	p.hosts = filepath.Join(p.dir, "hosts")
	require.NoError(t, os.WriteFile(p.hosts, fmt.Appendf(nil,
		"127.0.0.1 localhost\n%s nodes.example.org gateway.models.example.org\n%s portal.example.org\n", p.address, host), 0o644))
	p.settings(ctx, t)
	p.storageClass(ctx, t)
	p.store(ctx, t, host)
	p.registry(ctx, t, host, record.PID)
	p.portalsBalancer(t, net.JoinHostPort(host, "443"))
	go p.givesTheGatewayItsAddress()
}

// kubeconfig is the node's, whose context has the example's name.
func (p *platform) kubeconfig(ctx context.Context, t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(rig.Lookup(p.env, "KUBECONFIG"))
	require.NoError(t, err)
	file := filepath.Join(p.dir, "kubeconfig")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	p.env = append(p.env, "KUBECONFIG="+file)
	r := rig.Succeed(ctx, t, p.kubectl("config", "view", "--raw", "-o", "jsonpath={.current-context} {.clusters[0].cluster.server}"))
	var name, server string
	_, err = fmt.Sscan(r.Stdout, &name, &server)
	require.NoError(t, err)
	rig.Succeed(ctx, t, p.kubectl("config", "rename-context", name, "cloud"))
	u, err := url.Parse(server)
	require.NoError(t, err)
	p.address = u.Hostname()
	p.cluster, err = rig.Connect(file)
	require.NoError(t, err)
}

// settings are the example's, with an authority of one's own and a second tenant, and
// without what is not here: a Postgres, and stores and registries on the internet.
func (p *platform) settings(ctx context.Context, t *testing.T) {
	t.Helper()
	checkout := filepath.Dir(filepath.Dir(p.node.Sealed))
	var err error
	p.project, err = rig.CopyProject(checkout, p.dir)
	require.NoError(t, err)
	example, err := os.ReadFile(filepath.Join(checkout, "Pulumi.cloud.example.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "Pulumi."+stack+".yaml"), example, 0o600))
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal(example, &file))
	certificate, key := filepath.Join(p.dir, "authority.crt"), filepath.Join(p.dir, "authority.key")
	rig.Succeed(ctx, t, rig.Command{Path: "/usr/bin/openssl", Env: p.env, Dir: p.dir, Args: []string{
		"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "3650",
		"-subj", "/CN=Example Authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", certificate,
	}})
	text, err := os.ReadFile(certificate)
	require.NoError(t, err)
	p.authority = string(text)
	tenants := file.Config["neuroscale:tenants"].([]any)
	stores := file.Config["neuroscale:serving"].(map[string]any)["modelStores"].([]any)
	for path, value := range map[string]any{
		"neuroscale:tls.authority":                          map[string]any{"certificate": certificate, "key": key},
		"neuroscale:portal.database":                        map[string]any{},
		"neuroscale:serving.modelStores":                    append(stores, map[string]any{"cidr": "10.88.0.0/16", "ports": []int{4443}}),
		"neuroscale:serving.registriesSkippingTagResolving": []string{"registry.example.org"},
		"neuroscale:tenants": append(tenants, map[string]any{
			"namespace": other, "owner": other, "costCenter": "products", "repositories": []string{other + "-endpoints"}, "members": []string{"carl"},
			"modelAccess": map[string]any{"secrets": []string{"models"}},
		}),
	} {
		_, err := p.project.Set(stack, path, value)
		require.NoError(t, err, path)
	}
}

// storageClass is that of the example, by what makes the node's own volumes.
func (p *platform) storageClass(ctx context.Context, t *testing.T) {
	t.Helper()
	all, err := p.cluster.List(ctx, kube.StorageClasses, "")
	require.NoError(t, err)
	require.Len(t, all, 1)
	class := all[0].Object
	file := filepath.Join(p.dir, "gp3.yaml")
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "gp3"},
		"provisioner": class["provisioner"], "volumeBindingMode": class["volumeBindingMode"],
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	rig.Succeed(ctx, t, p.kubectl("apply", "-f", file))
}

// ofTheMirror is a request of a container runtime for an image in it.
var ofTheMirror = regexp.MustCompile(`^/v2/mirror/[^/]+/(.*)$`)

// registry answers for registry.example.org from the node's own one, which knows images
// without the name of the registry they are published in.
func (p *platform) registry(ctx context.Context, t *testing.T, host string, node int) {
	t.Helper()
	to, err := url.Parse("http://" + net.JoinHostPort(p.address, "5001"))
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.Path = ofTheMirror.ReplaceAllString(r.In.URL.Path, "/v2/$1")
		r.Out.Host = to.Host
	}}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" && !ofTheMirror.MatchString(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(p.around, func() { _ = server.Close() })
	at := "http://" + listener.Addr().String()
	hosts := fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", at, at)
	rig.Succeed(ctx, t, rig.Command{Path: "/usr/bin/nsenter", Dir: p.dir, Env: p.env, Args: []string{
		"--mount", "--target", strconv.Itoa(node), "/bin/sh", "-c",
		`mkdir -p "$1" && printf %s "$2" >"$1/hosts.toml"`, "sh", "/run/neuroscale/registries/registry.example.org", hosts,
	}})
}

// portalsBalancer is what people put before the portal's node port.
func (p *platform) portalsBalancer(t *testing.T, at string) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	require.NoError(t, err)
	context.AfterFunc(p.around, func() { _ = listener.Close() })
	to := net.JoinHostPort(p.address, "30083")
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(in, to)
		}
	}()
}

// pass a connection on.
func pass(in net.Conn, to string) {
	defer in.Close()
	out, err := net.DialTimeout("tcp", to, 10*time.Second)
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

// givesTheGatewayItsAddress does what a cloud's controller does for a Service of type
// LoadBalancer: it has it answer at the node's address, at the Service's own port.
func (p *platform) givesTheGatewayItsAddress() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.around.Done():
			return
		case <-tick.C:
		}
		service, err := p.cluster.Get(p.around, kube.Services, "kourier-system", "kourier")
		if err != nil || rig.Text(service, "spec", "type") != "LoadBalancer" {
			continue
		}
		if given, _, _ := unstructured.NestedSlice(service.Object, "status", "loadBalancer", "ingress"); len(given) > 0 {
			continue
		}
		// It may go meanwhile; the next round sees that.
		_, _ = p.kubectl("patch", "service", "kourier", "-n", "kourier-system", "--subresource=status", "--type=merge",
			"-p", fmt.Sprintf(`{"status": {"loadBalancer": {"ingress": [{"ip": %q}]}}}`, p.address)).Run(p.around)
	}
}
