package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is how often a handshake may look whether the files changed.
const certificateCheck = time.Second

// A Certificate is a certificate and its key in files, read again when they change.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate
	version [2]fileVersion
	checked time.Time
}

type fileVersion struct {
	modified time.Time
	size     int64
}

// LoadCertificate reads both files.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS returns a configuration that uses the certificate. Websockets need HTTP/1.1.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(), nil
		},
	}
}

// current returns the certificate; one that cannot be read leaves the last.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= certificateCheck {
		if err := c.load(); err != nil {
			c.log.Error("the certificate could not be read again; the last one stays", "error", err)
		}
	}
	return c.loaded
}

func (c *Certificate) load() error {
	c.checked = time.Now()
	version, err := c.stat()
	if err != nil {
		return err
	}
	if c.loaded != nil && version == c.version {
		return nil
	}
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("server: read the certificate: %w", err)
	}
	c.loaded, c.version = &loaded, version
	return nil
}

func (c *Certificate) stat() ([2]fileVersion, error) {
	var version [2]fileVersion
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return version, fmt.Errorf("server: read the certificate: %w", err)
		}
		version[i] = fileVersion{modified: info.ModTime(), size: info.Size()}
	}
	return version, nil
}
