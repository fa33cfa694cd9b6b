// Package pki makes the certificates and kubeconfigs of one node.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// lifetime of every certificate; an instance is thrown away long before.
const lifetime = 10 * 365 * 24 * time.Hour

// Files of a certificate folder, relative to it.
const (
	CA              = "ca"
	FrontProxyCA    = "front-proxy-ca"
	FrontProxy      = "front-proxy-client"
	APIServer       = "apiserver"
	KubeletClient   = "apiserver-kubelet-client"
	Kubelet         = "kubelet"
	ServiceAccounts = "service-accounts"
)

// secretsKey is the file of the key that Secrets are encrypted with at rest.
const secretsKey = "secrets.key"

// Clients that get a kubeconfig, named <client>.kubeconfig.
const (
	Admin             = "admin"
	ControllerManager = "controller-manager"
	Scheduler         = "scheduler"
	Proxy             = "proxy"
)

// Request says whom the certificates are for.
type Request struct {
	Cluster   string // name of the cluster in kubeconfigs
	Server    string // URL of the API server
	Node      string // Kubernetes name of the node
	NodeIP    net.IP
	ServiceIP net.IP // address of the Service "kubernetes"
	Domain    string // cluster domain
	// Authorities is a folder with CA and FrontProxyCA to sign with; empty means new
	// ones.
	Authorities string
}

// Forget removes the certificates in dir if other authorities than those in the folder
// signed them.
func Forget(dir, authorities string) error {
	for _, name := range []string{CA, FrontProxyCA} {
		has, err := os.ReadFile(filepath.Join(dir, name+".crt"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		want, err2 := os.ReadFile(filepath.Join(authorities, name+".crt"))
		if err := errors.Join(err, err2); err != nil {
			return fmt.Errorf("compare authorities: %w", err)
		}
		if !bytes.Equal(has, want) {
			return os.RemoveAll(dir)
		}
	}
	return nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// Ensure creates a new authority and everything signed by it in dir, unless
// dir exists already. The folder appears whole or not at all.
func Ensure(dir string, r Request) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp := dir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("clear %s: %w", tmp, err)
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	if err := write(tmp, r); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("publish certificates: %w", err)
	}
	return nil
}

// EnsureSecretsKey makes the key that Secrets are encrypted with in dir, unless there
// is one: a folder of before there was such a key gets it, too.
func EnsureSecretsKey(dir string) error {
	path := filepath.Join(dir, secretsKey)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make the key of Secrets: %w", err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(base64.StdEncoding.EncodeToString(random)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the key of Secrets: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write the key of Secrets: %w", err)
	}
	return nil
}

// SecretsKey reads the key that EnsureSecretsKey made, in base64.
func SecretsKey(dir string) (string, error) {
	key, err := os.ReadFile(filepath.Join(dir, secretsKey))
	if err != nil {
		return "", fmt.Errorf("read the key of Secrets: %w", err)
	}
	return strings.TrimSpace(string(key)), nil
}

func write(dir string, r Request) error {
	ca, err := r.authority(dir, CA, "neuroscale-ca")
	if err != nil {
		return err
	}
	front, err := r.authority(dir, FrontProxyCA, "neuroscale-front-proxy-ca")
	if err != nil {
		return err
	}
	serving := x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"},
		DNSNames: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + r.Domain, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), r.ServiceIP, r.NodeIP},
	}
	masters := []string{"system:masters"}
	node := pkix.Name{CommonName: "system:node:" + r.Node, Organization: []string{"system:nodes"}}
	leaves := []struct {
		file       string
		by         *authority
		cert       x509.Certificate
		kubeconfig bool
	}{
		{APIServer, ca, serving, false},
		{KubeletClient, ca, x509.Certificate{Subject: pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: masters}}, false},
		{Kubelet, ca, x509.Certificate{Subject: node, DNSNames: []string{r.Node}, IPAddresses: []net.IP{r.NodeIP}}, true},
		{Admin, ca, x509.Certificate{Subject: pkix.Name{CommonName: "admin", Organization: masters}}, true},
		{ControllerManager, ca, x509.Certificate{Subject: pkix.Name{CommonName: "system:kube-controller-manager"}}, true},
		{Scheduler, ca, x509.Certificate{Subject: pkix.Name{CommonName: "system:kube-scheduler"}}, true},
		{Proxy, ca, x509.Certificate{Subject: pkix.Name{CommonName: "system:kube-proxy"}}, true},
		{FrontProxy, front, x509.Certificate{Subject: pkix.Name{CommonName: FrontProxy}}, false},
	}
	for _, l := range leaves {
		cert, key, err := l.by.sign(&l.cert)
		if err != nil {
			return fmt.Errorf("certificate %s: %w", l.file, err)
		}
		if err := save(dir, l.file, cert, key); err != nil {
			return err
		}
		if !l.kubeconfig {
			continue
		}
		if err := clientcmd.WriteToFile(kubeconfig(r, l.file, ca.pem, cert, key), filepath.Join(dir, l.file+".kubeconfig")); err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", l.file, err)
		}
	}
	return serviceAccounts(dir)
}

// serviceAccounts writes the key pair that signs tokens of ServiceAccounts.
func serviceAccounts(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ServiceAccounts+".key"), private, 0o600); err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return os.WriteFile(filepath.Join(dir, ServiceAccounts+".pub"), block, 0o600)
}

// authority is the one of that file, or a new one.
func (r Request) authority(dir, file, name string) (*authority, error) {
	if r.Authorities == "" {
		return newAuthority(dir, file, name)
	}
	cert, err := os.ReadFile(filepath.Join(r.Authorities, file+".crt"))
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	private, err := os.ReadFile(filepath.Join(r.Authorities, file+".key"))
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	// It also looks whether they belong together.
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", file, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("authority %s: its key is no ECDSA key", file)
	}
	return &authority{cert: pair.Leaf, key: key, pem: cert}, save(dir, file, cert, private)
}

func newAuthority(dir, file, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", name, err)
	}
	a := &authority{key: key}
	template, err := base(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return a, save(dir, file, a.pem, private)
}

// sign returns certificate and key as PEM.
func (a *authority) sign(want *x509.Certificate) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := base(want.Subject)
	if err != nil {
		return nil, nil, err
	}
	template.DNSNames, template.IPAddresses = want.DNSNames, want.IPAddresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(want.DNSNames)+len(want.IPAddresses) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, err
}

func base(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime)}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func save(dir, name string, cert, key []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), cert, 0o600); err != nil {
		return fmt.Errorf("write certificate %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".key"), key, 0o600); err != nil {
		return fmt.Errorf("write key %s: %w", name, err)
	}
	return nil
}

func kubeconfig(r Request, user string, ca, cert, key []byte) clientcmdapi.Config {
	c := clientcmdapi.NewConfig()
	c.Clusters[r.Cluster] = &clientcmdapi.Cluster{Server: r.Server, CertificateAuthorityData: ca}
	c.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	c.Contexts[r.Cluster] = &clientcmdapi.Context{Cluster: r.Cluster, AuthInfo: user}
	c.CurrentContext = r.Cluster
	return *c
}
