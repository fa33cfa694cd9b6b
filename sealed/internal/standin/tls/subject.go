package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sort"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

var keyUsages = map[string]x509.KeyUsage{
	"digital_signature": x509.KeyUsageDigitalSignature, "content_commitment": x509.KeyUsageContentCommitment,
	"key_encipherment": x509.KeyUsageKeyEncipherment, "data_encipherment": x509.KeyUsageDataEncipherment,
	"key_agreement": x509.KeyUsageKeyAgreement, "cert_signing": x509.KeyUsageCertSign, "crl_signing": x509.KeyUsageCRLSign,
	"encipher_only": x509.KeyUsageEncipherOnly, "decipher_only": x509.KeyUsageDecipherOnly,
}

var extendedUsages = map[string]x509.ExtKeyUsage{
	"any_extended": x509.ExtKeyUsageAny, "server_auth": x509.ExtKeyUsageServerAuth, "client_auth": x509.ExtKeyUsageClientAuth,
	"code_signing": x509.ExtKeyUsageCodeSigning, "email_protection": x509.ExtKeyUsageEmailProtection,
	"ipsec_end_system": x509.ExtKeyUsageIPSECEndSystem, "ipsec_tunnel": x509.ExtKeyUsageIPSECTunnel,
	"ipsec_user": x509.ExtKeyUsageIPSECUser, "timestamping": x509.ExtKeyUsageTimeStamping, "ocsp_signing": x509.ExtKeyUsageOCSPSigning,
	"microsoft_server_gated_crypto":     x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	"netscape_server_gated_crypto":      x509.ExtKeyUsageNetscapeServerGatedCrypto,
	"microsoft_commercial_code_signing": x509.ExtKeyUsageMicrosoftCommercialCodeSigning,
	"microsoft_kernel_code_signing":     x509.ExtKeyUsageMicrosoftKernelCodeSigning,
}

// usages turns the names of allowed uses into a certificate's. Both spellings,
// server_auth and serverAuth, are taken.
func usages(names []string) (x509.KeyUsage, []x509.ExtKeyUsage, error) {
	var usage x509.KeyUsage
	var extended []x509.ExtKeyUsage
	var errs []error
	for _, name := range names {
		key := snake(name)
		if u, ok := keyUsages[key]; ok {
			usage |= u
		} else if e, ok := extendedUsages[key]; ok {
			extended = append(extended, e)
		} else {
			errs = append(errs, fmt.Errorf("has the unknown use %q; known are %s", name, knownUsages()))
		}
	}
	return usage, extended, errors.Join(errs...)
}

func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte('_')
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}

func knownUsages() string {
	var names []string
	for name := range keyUsages {
		names = append(names, name)
	}
	for name := range extendedUsages {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func subject(in server.Values) pkix.Name {
	list := func(name string) []string {
		if value := in.String(name); value != "" {
			return []string{value}
		}
		return nil
	}
	name := pkix.Name{
		CommonName: in.String("commonName"), SerialNumber: in.String("serialNumber"),
		Organization: list("organization"), OrganizationalUnit: list("organizationalUnit"),
		StreetAddress: in.Strings("streetAddresses"), Locality: list("locality"), Province: list("province"),
		PostalCode: list("postalCode"), Country: list("country"),
	}
	if email := in.String("emailAddress"); email != "" {
		name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{
			Type: oidEmail, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(email)},
		})
	}
	return name
}

// names are the alternative names of a certificate or request.
type names struct {
	dns  []string
	ips  []net.IP
	uris []*url.URL
}

func subjectFields() server.Fields {
	return server.Fields{
		"privateKeyPem": {Kind: server.String, Required: true, Secret: true},
		"dnsNames":      {Kind: server.StringList},
		"ipAddresses":   {Kind: server.StringList},
		"uris":          {Kind: server.StringList},
		"subject":       {Kind: server.Object},
	}
}

// readNames reads and checks the alternative names.
func readNames(in server.Values) (names, []server.Failure) {
	n := names{dns: in.Strings("dnsNames")}
	var failures []server.Failure
	for i, text := range in.Strings("ipAddresses") {
		ip := net.ParseIP(text)
		if ip == nil {
			failures = append(failures, server.Failure{Property: fmt.Sprintf("ipAddresses[%d]", i), Reason: fmt.Sprintf("%q is not an IP address", text)})
		}
		n.ips = append(n.ips, ip)
	}
	for i, text := range in.Strings("uris") {
		uri, err := url.Parse(text)
		if err != nil {
			failures = append(failures, server.Failure{Property: fmt.Sprintf("uris[%d]", i), Reason: fmt.Sprintf("%q is not a URI", text)})
			continue
		}
		n.uris = append(n.uris, uri)
	}
	return n, failures
}

func checkKey(in server.Values, property string) []server.Failure {
	if _, _, err := parseKey(in.String(property)); err != nil {
		return []server.Failure{{Property: property, Reason: err.Error()}}
	}
	return nil
}
