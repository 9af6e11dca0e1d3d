package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// downloadRelease is the PostgreSQL that is downloaded where none is installed.
const downloadRelease = embedded.V18

// repository is where PostgreSQL's programs are downloaded from, and the folder in which they stay.
type repository struct {
	url   string
	cache string
}

// defaultRepository is the public one, and the user's cache folder. Root's own is closed to the user whom PostgreSQL
// runs as, so root takes the system's.
func defaultRepository(o owner) (repository, error) {
	cache, err := os.UserCacheDir()
	for _, system := range []string{"/var/cache", "/Library/Caches"} {
		if o.other && (err != nil || !o.reaches(cache)) {
			cache, err = system, nil
		}
	}
	if err != nil {
		return repository{}, fmt.Errorf("find the cache folder: %w", err)
	}
	return repository{url: "https://repo1.maven.org/maven2", cache: filepath.Join(cache, "pgws")}, nil
}

// binaries returns the downloaded programs. The first time it downloads them, into a folder that becomes the final one
// only when it is whole.
func (r repository) binaries(ctx context.Context, log *slog.Logger) (_ binaries, err error) {
	final := filepath.Join(r.cache, "postgresql-"+string(downloadRelease))
	if _, err := os.Stat(final); err == nil {
		return inspect(ctx, filepath.Join(final, "bin"))
	}
	if err := os.MkdirAll(r.cache, 0o755); err != nil { //nolint:gosec // PostgreSQL's user must enter it when we are root.
		return binaries{}, err
	}
	staging, err := makeTemporary(r.cache)
	if err != nil {
		return binaries{}, err
	}
	defer func() { err = errors.Join(err, staging.remove()) }()
	log.Info("downloading PostgreSQL", "release", string(downloadRelease), "from", r.url, "to", final)
	programs := filepath.Join(staging.path, "postgresql")
	if err := r.fetch(ctx, staging.path, programs); err != nil {
		return binaries{}, fmt.Errorf("no PostgreSQL is installed, and downloading %s from %s failed: %w",
			downloadRelease, r.url, err)
	}
	// Another process may have been faster: what it put there is as good.
	if err := os.Rename(programs, final); err != nil && !errors.Is(err, os.ErrExist) {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(final, "bin"))
}

// fetch downloads and unpacks the programs with the embedded-postgres library. The library would go on to start a server,
// which it cannot as root: a data folder named "." stops it, for such a folder cannot be removed. It makes its runtime
// folder when all is unpacked, which tells that end from a failure.
func (r repository) fetch(ctx context.Context, staging, programs string) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	address, stop, err := r.forward(ctx, fail)
	if err != nil {
		return err
	}
	unpacked := filepath.Join(staging, "unpacked")
	library := embedded.NewDatabase(embedded.DefaultConfig().
		Version(downloadRelease).
		BinaryRepositoryURL(address).
		CachePath(staging).
		BinariesPath(programs).
		RuntimePath(unpacked).
		DataPath(staging + "/.").
		Port(0).
		Logger(io.Discard))
	libraryErr := library.Start()
	removeErr := removeLog()
	runtime.KeepAlive(library) // It has its log open, by which the log is known.
	if err := errors.Join(stop(), removeErr); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := os.Stat(unpacked); err != nil {
		return libraryErr
	}
	return nil
}

// removeLog removes the log that the library leaves in the system's temporary folder. Other programs use the library too:
// ours is the one that our process has open.
func removeLog() error {
	logs, err := filepath.Glob(filepath.Join(os.TempDir(), "embedded_postgres_log*"))
	if err != nil {
		return err
	}
	open, err := filepath.Glob("/dev/fd/*")
	if err != nil {
		return err
	}
	for _, log := range logs {
		info, err := os.Stat(log)
		ours := err == nil && slices.ContainsFunc(open, func(descriptor string) bool {
			other, err := os.Stat(descriptor)
			return err == nil && os.SameFile(info, other)
		})
		if !ours {
			continue
		}
		if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// forward serves the repository on loopback until stop is called. The library takes no context and does not say what went
// wrong: here its requests end with ctx, and fail is told the reason. A missing checksum, which the library does not
// mind, is a failure too.
func (r repository) forward(ctx context.Context, fail context.CancelCauseFunc) (address string, stop func() error, err error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", nil, fmt.Errorf("listen on loopback: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client := &http.Client{Transport: transport}
	handler := func(w http.ResponseWriter, request *http.Request) {
		if err := pass(ctx, client, w, r.url+request.URL.Path); err != nil {
			fail(err)
			panic(http.ErrAbortHandler) // The library must not take what it got for the whole.
		}
	}
	server := &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	return "http://" + l.Addr().String(), func() error {
		defer transport.CloseIdleConnections()
		// The library has had its answers, so no handler is busy and nothing is waited for.
		if err := server.Shutdown(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("stop forwarding: %w", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("forward: %w", err)
		}
		return nil
	}, nil
}

// pass answers a request with the file at a URL.
func pass(ctx context.Context, client *http.Client, w http.ResponseWriter, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return nil
}
