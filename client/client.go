// Package client speaks to a pgws server: it hears what a PostgreSQL database
// NOTIFYs, and sends messages that become a NOTIFY.
//
//	c, err := client.Dial(ctx, client.Options{URL: "https://ws.example.com", Token: token})
//	…
//	defer c.Close()
//	sub, err := c.Subscribe(ctx, "chat")
//	…
//	receipt, err := c.Publish(ctx, "chat", "hello")
//	…
//	for m, err := range sub.Messages(ctx) {
//		…
//	}
//
// A Client keeps one connection for all its subscriptions and publications. When
// that breaks, it connects again, and each subscription goes on from the last
// message that it has seen; where the server cannot, a message with Gap set tells
// so. Where something on the way lets no websockets through, Server-Sent Events and
// POST take their place.
//
// A message that is not known to have arrived is never sent again: the error of
// Publish says whether it may have.
//
// All methods may be called from several goroutines.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// ErrClosed is the error of whoever uses a client or a subscription that has been closed.
var ErrClosed = errors.New("the client or the subscription is closed")

// Options say where to connect, and as whom.
type Options struct {
	// URL is the server's root, such as https://ws.example.com; ws: and wss: will do as well. A path is for
	// a server behind a proxy that removes it. Required.
	URL string
	// Token returns the token to connect with. It is called for each connection, and before the token expires: a new
	// one takes its place without a new connection. As long as it returns the same one, one with the same end, none or
	// an error, it is called again every few seconds. Required.
	Token func(context.Context) (string, error)
	// HTTPClient makes all requests, its Timeout aside; nil means one of this client's own.
	HTTPClient *http.Client
	// NoEcho keeps what the client publishes from its own subscriptions, while its transport is Websocket.
	NoEcho bool
	// OnState is told of each change. It is called from the client's goroutines: it must not wait, nor call Close.
	OnState func(State)
}

// A State says how a client is connected.
type State struct {
	// Connected tells that there is a connection.
	Connected bool
	// Transport is how: Websocket or SSE.
	Transport Transport
	// Err is why there is no connection; or, beside one, why its token could not be renewed.
	Err error
	// Retry is the time until the next try to connect.
	Retry time.Duration
}

// A Transport is a way of reaching the server.
type Transport string

// The transports.
const (
	Websocket Transport = "websocket"
	SSE       Transport = "sse" // with POST
)

// A Client is connected to a server until Close is called, or the server refuses its token again and again.
type Client struct {
	options Options
	root    *url.URL
	http    *http.Client
	cancel  context.CancelFunc
	done    chan struct{} // closed when the client has ended
	room    chan struct{} // tells the reader that there is room again, or a request to be answered

	// The connecting goroutine's own.
	works   bool      // A websocket has got through once.
	refused int       // handshakes for a websocket that met no answer of pgws, in a row
	tried   time.Time // when the last such handshake began
	token   string    // of the last try to connect
	expires int64     // when that ends; 0: not known

	mu       sync.Mutex
	err      error         // why it has ended
	conn     *conn         // nil: none
	attached chan struct{} // closed when there is one
	channels map[string]*Subscription
	queued   int // bytes of messages that wait to be read
}

// Dial connects to a server. The context is for that alone. Where the token is refused the error is an *Error with
// the code Unauthorized or Forbidden; with any other error one may try again later.
func Dial(ctx context.Context, o Options) (*Client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	l, err := c.connect(ctx)
	if errors.Is(err, errNoAnswer) && c.refused < tries {
		l, err = c.connect(ctx)
	}
	if err != nil {
		c.release()
		return nil, fmt.Errorf("connect to %s: %w", c.root.Host, err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go func() {
		defer close(c.done)
		c.run(running, l)
	}()
	return c, nil
}

func newClient(o Options) (*Client, error) {
	root, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("the URL cannot be parsed") // It may hold what must not be seen.
	}
	switch root.Scheme {
	case "http", "https":
	case "ws":
		root.Scheme = "http"
	case "wss":
		root.Scheme = "https"
	default:
		return nil, errors.New("the URL does not begin with http://, https://, ws:// or wss://")
	}
	if root.Host == "" {
		return nil, errors.New("the URL names no host")
	}
	if o.Token == nil {
		return nil, errors.New("no Token function")
	}
	if root.Path == "" {
		root.Path = "/"
	}
	root.RawQuery, root.Fragment = "", ""
	c := &Client{
		options: o, root: root,
		done: make(chan struct{}), room: make(chan struct{}, 1),
		attached: make(chan struct{}), channels: make(map[string]*Subscription),
	}
	if o.HTTPClient == nil {
		c.http = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}}
		return c, nil
	}
	given := *o.HTTPClient
	given.Timeout = 0 // It would end event streams.
	c.http = &given
	return c, nil
}

// Close ends the connection and all subscriptions, and returns when nothing of the client runs any more. Whoever waits
// for a receipt gets an error that says that the message may have been sent.
func (c *Client) Close() {
	c.cancel()
	<-c.done
}

// Done is closed when the client has ended: by Close, or because the tokens of several tries to connect again were refused.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client has ended: ErrClosed after Close, nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// run keeps a connection until the context ends or the token is refused for good.
func (c *Client) run(ctx context.Context, l link) {
	err := c.keep(ctx, l)
	if ctx.Err() != nil {
		err = ErrClosed
	}
	c.end(err)
	c.release()
	if !errors.Is(err, ErrClosed) {
		c.tell(State{Err: err})
	}
}

// keep serves one connection after another. It returns why there is no next.
func (c *Client) keep(ctx context.Context, l link) error {
	var wait backoff
	for {
		since := time.Now()
		c.tell(State{Connected: true, Transport: l.transport()})
		err := c.serve(ctx, l)
		if time.Since(since) > stable {
			wait = 0
		}
		refused := 0
		for l = nil; l == nil; {
			if isRefusal(err) {
				refused++
			}
			if ctx.Err() != nil || refused == refusals {
				return err
			}
			retry := wait.next()
			c.tell(State{Err: err, Retry: retry})
			if err = sleep(ctx, retry); err == nil {
				l, err = c.connect(ctx)
			}
		}
	}
}

// end tells all who wait that the client has ended.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for _, s := range c.channels {
		c.drop(s, err)
	}
}

// release closes the connections that nobody uses any more, if they are ours.
func (c *Client) release() {
	if c.options.HTTPClient == nil {
		c.http.CloseIdleConnections()
	}
}

func (c *Client) tell(s State) {
	if c.options.OnState != nil {
		c.options.OnState(s)
	}
}
