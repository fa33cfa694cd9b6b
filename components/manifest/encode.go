package manifest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

func encode(value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }

// Hash names content: the first 12 hexadecimal digits of the SHA-256 of parts,
// each ended by a zero byte.
func Hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
