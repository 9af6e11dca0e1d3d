package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"testing"

	"pgws/internal/app"
)

// welcomed takes what Dev prints for a newcomer.
type welcomed chan string

func (w welcomed) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// TestDevTakesAnotherPort runs Dev while its port is taken, by this test or by
// somebody else.
func TestDevTakesAnotherPort(t *testing.T) {
	t.Parallel()
	if taken, err := net.Listen("tcp", "127.0.0.1:3000"); err == nil {
		defer func() { _ = taken.Close() }()
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	text := make(welcomed, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- app.Dev(ctx, app.DevOptions{
			Lookup:  func(string) (string, bool) { return "", false },
			Program: "pgws",
			Version: "test",
			Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
			Out:     text,
		})
	}()
	var printed string
	select {
	case printed = <-text:
	case err := <-ended:
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://localhost:\d+/`).FindString(printed)
	if address == "" || address == "http://localhost:3000/" {
		t.Errorf("the page is at %q:\n%s", address, printed)
	} else if page, err := http.Get(address); err != nil {
		t.Error(err)
	} else if body, err := io.ReadAll(page.Body); err != nil || page.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", page.Status, body, err)
	} else if err := page.Body.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
