package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/neuroscale-platform/neuroscale/internal/keypair"
)

// MaxValidity is the longest a certificate may be valid: less than what is left of
// the program's own authority when that is made anew.
const MaxValidity = 17500 * time.Hour

func (v *checker) tls(t TLS) {
	v.hours("tls.validity", t.Validity, 2*time.Hour, MaxValidity)
	v.hours("tls.renewBefore", t.RenewBefore, time.Hour, time.Duration(t.Validity)-time.Hour)
	for i, name := range t.Names {
		if net.ParseIP(name) == nil && len(validation.IsDNS1123Subdomain(name)) > 0 && len(validation.IsWildcardDNS1123Subdomain(name)) > 0 {
			v.refuse(fmt.Sprintf("tls.names[%d]", i), name, "a host name or an IP address, without scheme or port")
		}
	}
	v.authority(t.Authority)
}

// authority refuses files that nobody could sign with.
func (v *checker) authority(k KeyPair) {
	const at = "tls.authority."
	if k == (KeyPair{}) {
		return
	}
	bad := false
	for _, file := range []struct{ field, path string }{{"certificate", k.Certificate}, {"key", k.Key}} {
		if !filepath.IsAbs(file.path) {
			v.refuse(at+file.field, file.path, "the path of a file in PEM form, beginning with /; certificate and key, or neither")
			bad = true
		}
	}
	if bad {
		return
	}
	_, err := keypair.ReadAuthority(k.Certificate, k.Key, time.Now())
	var problem keypair.Problem
	switch {
	case errors.As(err, &problem) && problem.Key:
		v.refuse(at+"key", k.Key, problem.Write)
	case err != nil:
		v.refuse(at+"certificate", k.Certificate, err.Error())
	}
}

// hours wants whole ones.
func (v *checker) hours(field string, value Duration, low, high time.Duration) {
	if d := time.Duration(value); d < low || d > high || d%time.Hour != 0 {
		v.refuse(field, value.String(), fmt.Sprintf("whole hours from %s to %s", Duration(low), Duration(high)))
	}
}
