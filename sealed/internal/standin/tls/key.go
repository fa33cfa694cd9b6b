package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
	"golang.org/x/crypto/ssh"
)

var curves = map[string]elliptic.Curve{
	"P224": elliptic.P224(), "P256": elliptic.P256(), "P384": elliptic.P384(), "P521": elliptic.P521(),
}

// minRSABits is the shortest RSA key that is made.
const minRSABits = 1024

func privateKey() server.Generated {
	return server.Generated{
		Fields: server.Fields{
			"algorithm":  {Kind: server.String, Required: true},
			"ecdsaCurve": {Kind: server.String, Default: "P224"},
			"rsaBits":    {Kind: server.Int, Default: float64(2048)},
		},
		Outputs: []string{"publicKeyPem", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256"},
		Secrets: []string{"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"},
		Check: func(in server.Values) []server.Failure {
			var failures []server.Failure
			switch in.String("algorithm") {
			case "RSA", "ECDSA", "ED25519":
			default:
				failures = append(failures, server.Failure{Property: "algorithm", Reason: "must be RSA, ECDSA or ED25519"})
			}
			if curves[in.String("ecdsaCurve")] == nil {
				failures = append(failures, server.Failure{Property: "ecdsaCurve", Reason: "must be P224, P256, P384 or P521"})
			}
			if in.Int("rsaBits") < minRSABits {
				failures = append(failures, server.Failure{Property: "rsaBits", Reason: fmt.Sprintf("must be at least %d", minRSABits)})
			}
			return failures
		},
		Make: func(in server.Values) (string, map[string]any, error) {
			key, err := generate(in.String("algorithm"), in.String("ecdsaCurve"), in.Int("rsaBits"))
			if err != nil {
				return "", nil, err
			}
			return describeKey(key)
		},
	}
}

func generate(algorithm, curve string, bits int) (crypto.Signer, error) {
	switch algorithm {
	case "RSA":
		return rsa.GenerateKey(rand.Reader, bits)
	case "ECDSA":
		return ecdsa.GenerateKey(curves[curve], rand.Reader)
	case "ED25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}

// describeKey gives a key in the forms the resource has. OpenSSH does not know
// the curve P224; those forms are empty then.
func describeKey(key crypto.Signer) (string, map[string]any, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, fmt.Errorf("encoding the private key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", nil, fmt.Errorf("encoding the public key: %w", err)
	}
	native, err := nativePEM(key, pkcs8)
	if err != nil {
		return "", nil, fmt.Errorf("encoding the private key: %w", err)
	}
	outputs := map[string]any{
		"privateKeyPem":      native,
		"privateKeyPemPkcs8": encode("PRIVATE KEY", pkcs8),
		"publicKeyPem":       encode("PUBLIC KEY", public),
		"privateKeyOpenssh":  "", "publicKeyOpenssh": "",
		"publicKeyFingerprintMd5": "", "publicKeyFingerprintSha256": "",
	}
	if sshKey, err := ssh.NewPublicKey(key.Public()); err == nil {
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return "", nil, fmt.Errorf("encoding the private key for OpenSSH: %w", err)
		}
		outputs["privateKeyOpenssh"] = string(pem.EncodeToMemory(block))
		outputs["publicKeyOpenssh"] = string(ssh.MarshalAuthorizedKey(sshKey))
		outputs["publicKeyFingerprintMd5"] = ssh.FingerprintLegacyMD5(sshKey)
		outputs["publicKeyFingerprintSha256"] = ssh.FingerprintSHA256(sshKey)
	}
	sum := sha1.Sum(public) // an identifier, not a protection
	return hex.EncodeToString(sum[:]), outputs, nil
}

func nativePEM(key crypto.Signer, pkcs8 []byte) (string, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		return encode("EC PRIVATE KEY", der), err
	default:
		return encode("PRIVATE KEY", pkcs8), nil
	}
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// parseKey reads a private key and names its algorithm. Its errors never quote
// the key.
func parseKey(text string) (crypto.Signer, string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", errors.New("is not a private key in PEM form")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, "", fmt.Errorf("is a PEM block %q, not a private key", strings.ToLower(block.Type))
	}
	if err != nil {
		return nil, "", errors.New("is not a valid private key")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, "RSA", nil
	case *ecdsa.PrivateKey:
		return k, "ECDSA", nil
	case ed25519.PrivateKey:
		return k, "ED25519", nil
	}
	return nil, "", errors.New("is a private key of an unknown algorithm")
}
