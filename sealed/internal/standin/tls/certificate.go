package tls

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

// serialBits is the size of a certificate's random serial number.
const serialBits = 128

// now is the clock; tests move it.
var now = time.Now

func validityFields(fields server.Fields) server.Fields {
	fields["allowedUses"] = server.Field{Kind: server.StringList, Required: true}
	fields["validityPeriodHours"] = server.Field{Kind: server.Int, Required: true}
	fields["earlyRenewalHours"] = server.Field{Kind: server.Int, Default: float64(0)}
	fields["isCaCertificate"] = server.Field{Kind: server.Bool, Default: false}
	fields["setSubjectKeyId"] = server.Field{Kind: server.Bool, Default: false}
	return fields
}

func checkValidity(in server.Values) []server.Failure {
	var failures []server.Failure
	if _, _, err := usages(in.Strings("allowedUses")); err != nil {
		failures = append(failures, server.Failure{Property: "allowedUses", Reason: err.Error()})
	}
	if in.Int("validityPeriodHours") < 0 {
		failures = append(failures, server.Failure{Property: "validityPeriodHours", Reason: "must not be negative"})
	}
	if in.Int("earlyRenewalHours") < 0 {
		failures = append(failures, server.Failure{Property: "earlyRenewalHours", Reason: "must not be negative"})
	}
	return failures
}

// renewal: a certificate is made anew when it has ended or is about to.
func renewal(state server.Values) (string, bool) {
	end, err := time.Parse(time.RFC3339, state.String("validityEndTime"))
	if err != nil {
		return "", false
	}
	early := time.Duration(state.Int("earlyRenewalHours")) * time.Hour
	return "readyForRenewal", !now().Before(end.Add(-early))
}

var certificateOutputs = []string{"certPem", "keyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"}

func selfSignedCert() server.Generated {
	fields := validityFields(subjectFields())
	fields["setAuthorityKeyId"] = server.Field{Kind: server.Bool, Default: false}
	return server.Generated{
		Fields: fields, Outputs: certificateOutputs, InPlace: []string{"earlyRenewalHours"}, Renew: renewal,
		Check: func(in server.Values) []server.Failure {
			_, failures := readNames(in)
			return append(append(failures, checkKey(in, "privateKeyPem")...), checkValidity(in)...)
		},
		Make: func(in server.Values) (string, map[string]any, error) {
			key, algorithm, err := parseKey(in.String("privateKeyPem"))
			if err != nil {
				return "", nil, fmt.Errorf("privateKeyPem %w", err)
			}
			n, _ := readNames(in)
			template := &x509.Certificate{
				Subject: subject(in.Object("subject")), DNSNames: n.dns, IPAddresses: n.ips, URIs: n.uris,
			}
			if in.Bool("setAuthorityKeyId") {
				if template.AuthorityKeyId, err = keyID(key.Public()); err != nil {
					return "", nil, err
				}
			}
			id, outputs, err := issue(in, template, template, key.Public(), key)
			if err != nil {
				return "", nil, err
			}
			outputs["keyAlgorithm"] = algorithm
			return id, outputs, nil
		},
	}
}

func certRequest() server.Generated {
	return server.Generated{
		Fields: subjectFields(), Outputs: []string{"certRequestPem", "keyAlgorithm"},
		Check: func(in server.Values) []server.Failure {
			_, failures := readNames(in)
			return append(failures, checkKey(in, "privateKeyPem")...)
		},
		Make: func(in server.Values) (string, map[string]any, error) {
			key, algorithm, err := parseKey(in.String("privateKeyPem"))
			if err != nil {
				return "", nil, fmt.Errorf("privateKeyPem %w", err)
			}
			n, _ := readNames(in)
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject: subject(in.Object("subject")), DNSNames: n.dns, IPAddresses: n.ips, URIs: n.uris,
			}, key)
			if err != nil {
				return "", nil, fmt.Errorf("making the certificate request: %w", err)
			}
			sum := sha1.Sum(der) // an identifier, not a protection
			return fmt.Sprintf("%x", sum), map[string]any{
				"certRequestPem": encode("CERTIFICATE REQUEST", der), "keyAlgorithm": algorithm,
			}, nil
		},
	}
}

func locallySignedCert() server.Generated {
	fields := validityFields(server.Fields{
		"caCertPem":       {Kind: server.String, Required: true},
		"caPrivateKeyPem": {Kind: server.String, Required: true, Secret: true},
		"certRequestPem":  {Kind: server.String, Required: true},
	})
	return server.Generated{
		Fields: fields, InPlace: []string{"earlyRenewalHours"}, Renew: renewal,
		Outputs: []string{"certPem", "caKeyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"},
		Check: func(in server.Values) []server.Failure {
			failures := append(checkKey(in, "caPrivateKeyPem"), checkValidity(in)...)
			if _, err := parseCertificate(in.String("caCertPem")); err != nil {
				failures = append(failures, server.Failure{Property: "caCertPem", Reason: err.Error()})
			}
			if _, err := parseRequest(in.String("certRequestPem")); err != nil {
				failures = append(failures, server.Failure{Property: "certRequestPem", Reason: err.Error()})
			}
			return failures
		},
		Make: func(in server.Values) (string, map[string]any, error) {
			request, err := parseRequest(in.String("certRequestPem"))
			if err != nil {
				return "", nil, fmt.Errorf("certRequestPem %w", err)
			}
			authority, err := parseCertificate(in.String("caCertPem"))
			if err != nil {
				return "", nil, fmt.Errorf("caCertPem %w", err)
			}
			key, algorithm, err := parseKey(in.String("caPrivateKeyPem"))
			if err != nil {
				return "", nil, fmt.Errorf("caPrivateKeyPem %w", err)
			}
			template := &x509.Certificate{
				Subject: request.Subject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses, URIs: request.URIs,
			}
			id, outputs, err := issue(in, template, authority, request.PublicKey, key)
			if err != nil {
				return "", nil, err
			}
			outputs["caKeyAlgorithm"] = algorithm
			return id, outputs, nil
		},
	}
}

// issue signs the template with the issuer's key, after giving it its validity,
// uses and serial number.
func issue(in server.Values, template, issuer *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (string, map[string]any, error) {
	var err error
	if template.KeyUsage, template.ExtKeyUsage, err = usages(in.Strings("allowedUses")); err != nil {
		return "", nil, fmt.Errorf("allowedUses %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits)); err != nil {
		return "", nil, err
	}
	template.NotBefore = now().UTC().Truncate(time.Second)
	template.NotAfter = template.NotBefore.Add(time.Duration(in.Int("validityPeriodHours")) * time.Hour)
	template.BasicConstraintsValid = true
	template.IsCA = in.Bool("isCaCertificate")
	if template.IsCA || in.Bool("setSubjectKeyId") {
		if template.SubjectKeyId, err = keyID(public); err != nil {
			return "", nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, signer)
	if err != nil {
		return "", nil, fmt.Errorf("signing the certificate: %w", err)
	}
	return template.SerialNumber.String(), map[string]any{
		"certPem":           encode("CERTIFICATE", der),
		"readyForRenewal":   false,
		"validityStartTime": template.NotBefore.Format(time.RFC3339),
		"validityEndTime":   template.NotAfter.Format(time.RFC3339),
	}, nil
}

// keyID identifies a public key as RFC 5280, section 4.2.1.2, method 1 does.
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:], nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("is not a certificate in PEM form")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is not a certificate: %w", err)
	}
	return certificate, nil
}

func parseRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("is not a certificate request in PEM form")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is not a certificate request: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("is not signed by its own key: %w", err)
	}
	return request, nil
}
