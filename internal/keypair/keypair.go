// Package keypair reads certificates and their keys from files and says what is
// wrong with them.
package keypair

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// Pair is a certificate, which those that signed it may follow, and its key, both in
// PEM form.
type Pair struct{ Certificate, Key string }

// Problem is one of the two files.
type Problem struct {
	// Key is whether it is the key's.
	Key bool
	// Write says what there should be.
	Write string
}

func (p Problem) Error() string { return p.Write }

// Read reads both files. The error is a Problem if they are no certificate that is
// valid now with its key.
func Read(certificate, key string, now time.Time) (Pair, *x509.Certificate, error) {
	c, err := os.ReadFile(certificate)
	if err != nil {
		return Pair{}, nil, Problem{false, fmt.Sprintf("the path of a file that can be read (%v)", reason(err))}
	}
	k, err := os.ReadFile(key)
	if err != nil {
		return Pair{}, nil, Problem{true, fmt.Sprintf("the path of a file that can be read (%v)", reason(err))}
	}
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		if !hasCertificate(c) {
			return Pair{}, nil, Problem{false, "the path of a file with a certificate in PEM form"}
		}
		return Pair{}, nil, Problem{true, "the path of a file with the key of that certificate, in PEM form and without a passphrase"}
	}
	leaf := pair.Leaf
	if !now.Before(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return Pair{}, nil, Problem{false, fmt.Sprintf("the path of a certificate that is valid now: this one is from %s until %s",
			leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))}
	}
	return Pair{string(c), string(k)}, leaf, nil
}

// ReadAuthority reads those of a certificate authority, with which others can be
// signed.
func ReadAuthority(certificate, key string, now time.Time) (Pair, error) {
	pair, leaf, err := Read(certificate, key, now)
	if err != nil {
		return Pair{}, err
	}
	if !leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageCertSign == 0 {
		return Pair{}, Problem{false, fmt.Sprintf("the path of a certificate that may sign others: that of %s may not", leaf.Subject)}
	}
	return pair, nil
}

// Ends is when the first certificate of a chain in PEM form does.
func Ends(chain string) (time.Time, error) {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return time.Time{}, errors.New("it is no certificate in PEM form")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("read a certificate: %w", err)
	}
	return certificate.NotAfter, nil
}

func hasCertificate(text []byte) bool {
	return x509.NewCertPool().AppendCertsFromPEM(text)
}

// reason is err without the path, which is said anyway.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
