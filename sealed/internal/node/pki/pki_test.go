package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

var request = Request{Cluster: "neuroscale-a", Server: "https://10.88.0.2:6443", Node: "neuroscale-a",
	NodeIP: net.IPv4(10, 88, 0, 2), ServiceIP: net.IPv4(10, 43, 0, 1), Domain: "cluster.local"}

func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	require.NoError(t, Ensure(dir, request))
	return dir
}

func certificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	require.NoError(t, err)
	block, _ := pem.Decode(content)
	require.NotNil(t, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}

func TestAPIServerIsTrustedUnderEveryNameItIsCalled(t *testing.T) {
	dir := made(t)
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, dir, CA))
	for _, name := range []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", "10.43.0.1", "10.88.0.2"} {
		_, err := certificate(t, dir, APIServer).Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		assert.NoError(t, err, name)
	}
	_, err := certificate(t, dir, APIServer).Verify(x509.VerifyOptions{Roots: roots, DNSName: "10.88.0.1"})
	assert.Error(t, err)
}

func TestClientsAreWhomKubernetesExpects(t *testing.T) {
	dir := made(t)
	for name, want := range map[string]struct {
		user   string
		groups []string
		signer string
	}{
		Admin:             {"admin", []string{"system:masters"}, CA},
		Kubelet:           {"system:node:neuroscale-a", []string{"system:nodes"}, CA},
		KubeletClient:     {"kube-apiserver-kubelet-client", []string{"system:masters"}, CA},
		ControllerManager: {"system:kube-controller-manager", nil, CA},
		Scheduler:         {"system:kube-scheduler", nil, CA},
		Proxy:             {"system:kube-proxy", nil, CA},
		FrontProxy:        {"front-proxy-client", nil, FrontProxyCA},
	} {
		cert := certificate(t, dir, name)
		assert.Equal(t, want.user, cert.Subject.CommonName, name)
		assert.Equal(t, want.groups, cert.Subject.Organization, name)
		roots := x509.NewCertPool()
		roots.AddCert(certificate(t, dir, want.signer))
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		assert.NoError(t, err, name)
	}
}

func TestKubeconfigHoldsAUsableKeyPair(t *testing.T) {
	dir := made(t)
	for _, name := range []string{Admin, Kubelet, ControllerManager, Scheduler, Proxy} {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, name+".kubeconfig"))
		require.NoError(t, err, name)
		assert.Equal(t, request.Server, config.Host)
		_, err = tls.X509KeyPair(config.CertData, config.KeyData)
		assert.NoError(t, err, name)
	}
}

func TestNobodyElseMayReadTheKeys(t *testing.T) {
	dir := made(t)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, f.Name())
	}
}

func TestAuthorityIsKeptAndIsNewForANewFolder(t *testing.T) {
	dir := made(t)
	first := certificate(t, dir, CA)
	require.NoError(t, Ensure(dir, request))
	assert.True(t, first.Equal(certificate(t, dir, CA)), "a second call must not change the authority")
	assert.False(t, first.Equal(certificate(t, made(t), CA)), "two instances must not share an authority")
}

func TestFolderThatWasCutOffIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	require.NoError(t, os.MkdirAll(dir+".new", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir+".new", "ca.crt"), []byte("half"), 0o600))
	require.NoError(t, Ensure(dir, request))
	assert.Equal(t, "neuroscale-ca", certificate(t, dir, CA).Subject.CommonName)
	assert.NoDirExists(t, dir+".new")
}

func TestWhoeverMadeTheContainerIsItsAuthority(t *testing.T) {
	given := made(t) // any folder with authorities in it
	dir := filepath.Join(t.TempDir(), "pki")
	theirs := request
	theirs.Authorities = given
	require.NoError(t, Ensure(dir, theirs))
	for _, name := range []string{CA, FrontProxyCA} {
		assert.True(t, certificate(t, given, name).Equal(certificate(t, dir, name)), name)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, given, CA))
	_, err := certificate(t, dir, APIServer).Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"})
	require.NoError(t, err, "the kubeconfig that was composed outside would not fit")

	require.NoError(t, Forget(dir, given))
	assert.DirExists(t, dir, "the cluster would be another one after every restart")
	require.NoError(t, Forget(dir, made(t)))
	assert.NoDirExists(t, dir, "what another authority signed is of no use")
	require.NoError(t, Forget(dir, given))
}

func TestAnAuthorityWhoseKeyIsAnothersIsRefused(t *testing.T) {
	given, other := made(t), made(t)
	key, err := os.ReadFile(filepath.Join(other, CA+".key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(given, CA+".key"), key, 0o600))
	theirs := request
	theirs.Authorities = given
	assert.ErrorContains(t, Ensure(filepath.Join(t.TempDir(), "pki"), theirs), "authority ca:")
}
