package hub

// A Format is the form in which a kind of sessions is sent what is published.
// A publication is brought into it once, for all of them, and once more for who
// comes back. Its functions append something, may be called from several goroutines,
// and must not call the hub.
type Format struct {
	// Publication appends a publication to dst.
	Publication func(dst []byte, p Publication) []byte
	// Gap appends the news that publications of a channel may have been missed, up to
	// a position; there is no payload.
	// nil: these sessions are not told.
	Gap func(dst []byte, p Publication) []byte
}

// A Publication is one message on its way to the sessions.
type Publication struct {
	Channel  string
	Position Position
	// Payload is valid UTF-8.
	Payload string
}
