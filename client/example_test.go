package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"pgws"
	"pgws/client"
	"pgws/internal/devpg"
)

// A program hears a channel, and sends to it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url, stop, err := startServer(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer stop()

	c, err := client.Dial(ctx, client.Options{
		URL: url,
		// Ask whoever gives out tokens. This is asked again before a token expires.
		Token: func(context.Context) (string, error) { return sign(`{"mode":"rw","sub":"ann"}`) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	chat, err := c.Subscribe(ctx, "chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Publish(ctx, "chat", "hello"); err != nil {
		fmt.Println(err)
		return
	}
	for m, err := range chat.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if m.Gap {
			fmt.Println("something was missed: load the chat anew")
			continue
		}
		fmt.Println(m.Channel, m.Text())
		break
	}
	// Output: chat hello
}

// An error says whether a message may have been sent.
func ExampleClient_Publish() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url, stop, err := startServer(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer stop()

	c, err := client.Dial(ctx, client.Options{
		URL:   url,
		Token: func(context.Context) (string, error) { return sign(`{"mode":"w","channel":"orders"}`) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	order := struct {
		ID    int    `json:"id"`
		State string `json:"state"`
	}{17, "paid"}
	for _, channel := range []string{"orders", "invoices"} {
		receipt, err := c.Publish(ctx, channel, order)
		if e, ok := errors.AsType[*client.Error](err); ok {
			fmt.Println(e, e.Code == client.Forbidden, e.Uncertain)
			continue
		}
		fmt.Println(receipt.Channel, err, time.Since(receipt.Time()) < time.Minute)
	}
	// Output:
	// orders <nil> true
	// forbidden: the token does not grant the channel invoices true false
}

const exampleSecret = "a secret of thirty-two bytes or more"

func sign(claims string) (string, error) {
	token, err := jws.Sign([]byte(claims), jws.WithKey(jwa.HS256(), []byte(exampleSecret)))
	return string(token), err
}

// startServer starts a server with a PostgreSQL of its own.
func startServer(ctx context.Context) (url string, stop func(), err error) {
	database, err := devpg.Start(ctx, devpg.Options{})
	if err != nil {
		return "", nil, err
	}
	server, err := pgws.New(pgws.Options{DatabaseURI: database.URI(), Secret: exampleSecret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil, errors.Join(err, database.Close())
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	<-server.Started()
	host := httptest.NewServer(server.Handler())
	return host.URL, func() {
		cancel()
		err := errors.Join(<-ended, database.Close())
		host.Close()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}
