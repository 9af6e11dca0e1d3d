package contract_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/programtest"
)

// newCertificate returns a certificate for 127.0.0.1 and its key, in PEM.
func newCertificate(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// writeCertificate makes files of a new certificate and returns their paths.
func writeCertificate(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replaceCertificate(t, certificate, key, name)
	return certificate, key
}

// replaceCertificate gives both files a new content, each at once, as tools that renew certificates do.
func replaceCertificate(t *testing.T, certificate, key, name string) {
	t.Helper()
	certPEM, keyPEM := newCertificate(t, name)
	for path, content := range map[string][]byte{certificate: certPEM, key: keyPEM} {
		check(t, os.WriteFile(path+".new", content, 0o600))
		check(t, os.Rename(path+".new", path))
	}
}

// certificateName returns the name in the certificate with which a server greets.
func (s *server) certificateName(t *testing.T) string {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", s.addr)
	check(t, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, key := writeCertificate(t, "one")
	s := start(t, env{"PGWS_CERTIFICATE_FILE": certificate, "PGWS_KEY_FILE": key})
	roots := x509.NewCertPool()
	trusted, err := os.ReadFile(certificate)
	check(t, err)
	roots.AppendCertsFromPEM(trusted)
	dialer := ws.Dialer{TLSConfig: &tls.Config{RootCAs: roots}}
	c, refused := s.openBy(t, dialer, "wss://"+s.addr+"/chat/"+token(anybody))
	if refused != nil {
		t.Fatalf("refused with %d %s", refused.status, refused.body)
	}
	c.send("over TLS")
	if got := c.receiveMessage().Payload; got != "over TLS" {
		t.Errorf("got %q", got)
	}
	if _, refused := s.openBy(t, dialer, "wss://"+s.addr+"/chat/none"); refused == nil || refused.status != 401 {
		t.Errorf("a bad token's refusal is %+v", refused)
	}

	t.Log("Files that change are read again; what cannot be read leaves the last.")
	replaceCertificate(t, certificate, key, "two")
	programtest.Eventually(t, "the second certificate is used", func() bool { return s.certificateName(t) == "two" })
	check(t, os.WriteFile(certificate, []byte("rubbish"), 0o600))
	s.awaitUse(t, "two")
	replaceCertificate(t, certificate, key, "three")
	programtest.Eventually(t, "the third certificate is used", func() bool { return s.certificateName(t) == "three" })

	t.Log("Connections that are open stay so, and carry much at once.")
	const count = 500
	burst(t, connect(t, s.uri), 0, count)
	for n := range count {
		c.expect(burstMessage(n))
	}
	c.send("still here")
	if got := c.receiveMessage().Payload; got != "still here" {
		t.Errorf("got %q", got)
	}
	c.raw(closeWith(1000, ""))
	c.expectClose(1000)
}

// certificateComplaint is an error that speaks of the certificate.
var certificateComplaint = regexp.MustCompile(`(?m)^.*level=(ERROR|WARN).*certificate`)

// awaitUse shakes hands until the server has complained of its files, and always wants the same certificate.
func (s *server) awaitUse(t *testing.T, name string) {
	t.Helper()
	programtest.Eventually(t, "the server complains of the certificate", func() bool {
		if got := s.certificateName(t); got != name {
			t.Fatalf("the certificate %q is used, want %q", got, name)
		}
		return certificateComplaint.MatchString(s.Log.String())
	})
}
