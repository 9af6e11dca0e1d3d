package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
)

// TestListenerOverTLS hears a burst of the longest payloads, has its connection
// checked in silence and replaced.
func TestListenerOverTLS(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	db := connect(t, uri)
	secure := strings.Replace(through(t, uri, tlsProxy(t, parse(t, uri).ConnConfig.Host, parse(t, uri).ConnConfig.Port)),
		"sslmode=disable", "sslmode=require", 1)
	h, _ := listen(t, secure, func(o *ListenerOptions) { o.CheckInterval = 100 * time.Millisecond })
	for range 2 {
		h.awaitUp(t, true)
		execute(t, db, "select pg_notify($1, rpad(i::text, 7999, 'x')) from generate_series(1, 100) i", listenChannel)
		execute(t, db, "select pg_sleep(0.3), pg_notify($1, '101x')", listenChannel)
		for i := 1; i <= 101; i++ {
			if p := h.next(t); !strings.HasPrefix(p.payload, fmt.Sprint(i, "x")) {
				t.Fatalf("got %.20q at place %d", p.payload, i)
			}
		}
		if n := terminate(t, db, "pgws listener"); n != 1 {
			t.Fatalf("%d listeners", n)
		}
		h.awaitUp(t, false)
	}
}

// tlsProxy speaks TLS for a PostgreSQL that does not.
func tlsProxy(t *testing.T, host string, port uint16) (address string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = l.Close() })
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, len("lengcode"))); err != nil { // SSLRequest
					return
				}
				if _, err := conn.Write([]byte("S")); err != nil {
					return
				}
				server, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
				if err != nil {
					t.Error(err)
					return
				}
				defer server.Close()
				client := tls.Server(conn, config)
				serving.Go(func() {
					_, _ = io.Copy(server, client)
					_ = server.(*net.TCPConn).CloseWrite()
				})
				_, _ = io.Copy(client, server)
				_ = client.Close()
			})
		}
	})
	return l.Addr().String()
}
