package devpg

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fileServer is a repository of one package, whatever its name is on this machine.
type fileServer struct {
	jar      []byte
	checksum string
	served   atomic.Int32
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, string(downloadRelease)+".jar") && s.jar != nil:
		s.served.Add(1)
		_, _ = w.Write(s.jar)
	case strings.HasSuffix(r.URL.Path, ".jar.sha256") && s.checksum != "":
		fmt.Fprint(w, s.checksum)
	default:
		http.NotFound(w, r)
	}
}

// newFileServer packs testdata's programs as the repository does.
func newFileServer(t *testing.T) *fileServer {
	t.Helper()
	programs, err := os.ReadFile(filepath.Join("testdata", "programs.txz"))
	check(t, err)
	var jar bytes.Buffer
	archive := zip.NewWriter(&jar)
	file, err := archive.Create("postgres.txz")
	check(t, err)
	_, err = file.Write(programs)
	check(t, err)
	check(t, archive.Close())
	return &fileServer{jar: jar.Bytes(), checksum: sum(jar.Bytes())}
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// Not parallel: it changes the place of the system's temporary folder, to see that nothing is left there.
func TestDownload(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	files := newFileServer(t)
	upstream := httptest.NewServer(files)
	defer upstream.Close()
	r := repository{url: upstream.URL, cache: filepath.Join(t.TempDir(), "pgws")}
	var log bytes.Buffer
	want := binaries{dir: filepath.Join(r.cache, "postgresql-"+string(downloadRelease), "bin"), major: 18}
	for range 2 {
		got, err := r.binaries(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		check(t, err)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(binaries{})); diff != "" {
			t.Errorf("binaries (-want +got):\n%s", diff)
		}
	}
	if n := files.served.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
	if n := strings.Count(log.String(), "downloading PostgreSQL"); n != 1 {
		t.Errorf("the log is %q", log.String())
	}
	if _, err := os.Stat(filepath.Join(want.dir, "..", "share", "postgresql.conf.sample")); err != nil {
		t.Error(err)
	}
	checkOnly(t, r.cache, filepath.Dir(want.dir))
	checkOnly(t, temporary)
}

func TestConcurrentDownloads(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(newFileServer(t))
	defer upstream.Close()
	r := repository{url: upstream.URL, cache: t.TempDir()}
	var downloads sync.WaitGroup
	for range 3 {
		downloads.Go(func() {
			if _, err := r.binaries(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	downloads.Wait()
	checkOnly(t, r.cache, filepath.Join(r.cache, "postgresql-"+string(downloadRelease)))
}

func TestFailedDownload(t *testing.T) {
	t.Parallel()
	good := newFileServer(t)
	unpackable := []byte("no archive")
	tests := map[string]struct {
		handler http.Handler
		want    string
	}{
		"not there":       {handler: &fileServer{}, want: "404 Not Found"},
		"no checksum":     {handler: &fileServer{jar: good.jar}, want: ".sha256: 404 Not Found"},
		"wrong checksum":  {handler: &fileServer{jar: good.jar, checksum: sum(nil)}, want: "checksums do not match"},
		"not an archive":  {handler: &fileServer{jar: unpackable, checksum: sum(unpackable)}, want: "not a valid zip file"},
		"connection lost": {handler: http.HandlerFunc(loseConnection), want: "EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := httptest.NewServer(test.handler)
			defer upstream.Close()
			r := repository{url: upstream.URL, cache: t.TempDir()}
			_, err := r.binaries(t.Context(), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "no PostgreSQL is installed") {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
			checkOnly(t, r.cache)
		})
	}
}

func TestDownloadWithoutNetwork(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.NotFoundHandler())
	upstream.Close()
	r := repository{url: upstream.URL, cache: t.TempDir()}
	_, err := r.binaries(t.Context(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), r.url) {
		t.Errorf("the error is %v", err)
	}
}

func TestCancelledDownload(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // It never answers.
	}))
	defer upstream.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	r := repository{url: upstream.URL, cache: t.TempDir()}
	_, err := r.binaries(ctx, slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	checkOnly(t, r.cache)
}

// loseConnection ends in the middle of what it has announced.
func loseConnection(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte("half"))
}

// checkOnly fails if a folder holds anything but the given paths.
func checkOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in %s (-want +got):\n%s", dir, diff)
	}
}
