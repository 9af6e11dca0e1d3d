package pgws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"pgws"
	"pgws/internal/devpg"
)

const secret = "a secret of thirty-two bytes or more"

// A program with routes of its own lets browsers hear its database as well.
func Example() {
	if err := serveBoth(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	// Output:
	// plain: my own page
	// heard: {"channel":"chat","payload":"hello"}
}

func serveBoth(ctx context.Context) (err error) {
	database, err := devpg.Start(ctx, devpg.Options{}) // any PostgreSQL will do
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()

	server, err := pgws.New(pgws.Options{
		DatabaseURI: database.URI(),
		Secret:      secret,
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	<-server.Started()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /about", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "my own page")
	})
	host := httptest.NewServer(server.Middleware(mux))
	defer host.Close()

	return visit(ctx, host.URL, database.URI())
}

// visit gets the plain page, and hears what the database says.
func visit(ctx context.Context, address, uri string) error {
	response, err := http.Get(address + "/about")
	if err != nil {
		return err
	}
	var plain strings.Builder
	if err := errors.Join(response.Write(&plain), response.Body.Close()); err != nil {
		return err
	}
	fmt.Println("plain:", plain.String()[strings.LastIndex(plain.String(), "\n")+1:])

	token, err := jws.Sign([]byte(`{"mode":"r"}`), jws.WithKey(jwa.HS256(), []byte(secret)))
	if err != nil {
		return err
	}
	conn, _, _, err := ws.Dial(ctx, strings.Replace(address, "http", "ws", 1)+"/chat/"+string(token))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	db, err := pgx.Connect(ctx, uri)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(ctx) }()
	_, err = db.Exec(ctx, `select pg_notify('postgres-websockets-listener', '{"channel":"chat","payload":"hello"}')`)
	if err != nil {
		return err
	}
	heard, err := wsutil.ReadServerText(conn)
	fmt.Printf("heard: %s\n", heard)
	return err
}
