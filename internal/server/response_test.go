package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// TestLateWrite has a write end after its deadline, when HTTP/2 may have ended the stream
// already: the time-out is why, and not the client, which the stream's end looks like.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	handled := make(chan error, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled <- func() error {
			c, err := newResponse(w, r)
			if err != nil {
				return err
			}
			if err := c.SetWriteDeadline(time.Now()); err != nil {
				return err
			}
			<-r.Context().Done() // HTTP/2 has ended the stream.
			err = c.SetWriteDeadline(time.Time{})
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(nil)
				read <- err
			}()
			return errors.Join(err, c.Close(), <-read)
		}()
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	response, err := s.Client().Get(s.URL)
	if err == nil {
		_ = response.Body.Close()
	}
	if err := <-handled; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the deadline is moved: %v", err)
	}
}
