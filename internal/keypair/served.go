package keypair

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// lookAgain is how old what was read of the files may be.
const lookAgain = 5 * time.Second

// Served is a certificate that a server shows, in files that are replaced when it is
// renewed.
type Served struct {
	dir string
	log *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	text    string
	looked  time.Time
}

// LoadServed reads tls.crt and tls.key in a folder.
func LoadServed(dir string, log *slog.Logger) (*Served, error) {
	c := &Served{dir: dir, log: log}
	return c, c.read(time.Now())
}

// Get is for a tls.Config. While new files are no certificate, it is the one before.
func (c *Served) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookAgain {
		if err := c.read(now); err != nil {
			c.log.Error("the new certificate cannot be used", "error", err)
		}
	}
	return c.current, nil
}

func (c *Served) read(now time.Time) error {
	c.looked = now
	cert, err := os.ReadFile(filepath.Join(c.dir, "tls.crt"))
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(c.dir, "tls.key"))
	if err != nil {
		return fmt.Errorf("read the certificate's key: %w", err)
	}
	text := string(cert) + string(key)
	if text == c.text {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("the certificate in %s: %w", c.dir, err)
	}
	c.current, c.text = &pair, text
	c.log.Info("certificate", "serial", pair.Leaf.SerialNumber.String(), "ends", pair.Leaf.NotAfter)
	return nil
}
