// Package protocol has the words and frames of pgws.v1, which docs/protocol.md
// specifies. The server and the Go client speak by it. It is pure and imports no
// other package of this module.
package protocol

// The subprotocols of websockets (Sec-WebSocket-Protocol).
const (
	V1      = "pgws.v1"
	Classic = "pgws.classic"
	// BearerPrefix comes before a token. The server never selects such a one.
	BearerPrefix = "pgws.bearer." //nolint:gosec // It is no secret, but comes before one.
)

// The names in a query. Both are for event streams, the first for publishing too.
const (
	QueryProtocol = "protocol"
	QueryChannel  = "channel"
)

// What a client asks for.
const (
	OpAuth        = "auth"
	OpSubscribe   = "subscribe"
	OpUnsubscribe = "unsubscribe"
	OpPublish     = "publish"
	OpPing        = "ping"
)

// What a server tells.
const (
	OpReady        = "ready"
	OpOK           = "ok"
	OpError        = "error"
	OpMessage      = "message"
	OpGap          = "gap"
	OpExpiring     = "expiring"
	OpUnsubscribed = "unsubscribed"
	OpClose        = "close" // in event streams only
)

// A Code says why a request failed.
type Code string

// The codes of errors.
const (
	BadRequest   Code = "bad_request"
	Unauthorized Code = "unauthorized"
	Forbidden    Code = "forbidden"
	TooLarge     Code = "too_large"
	RateLimited  Code = "rate_limited"
	Unavailable  Code = "unavailable"
	Internal     Code = "internal"
)

// Close codes of websockets: 3000, 3003 and 3008 are from IANA's registry, 3001 is
// postgres-websockets'.
const (
	CloseUnauthorized = 3000
	CloseExpired      = 3001
	CloseForbidden    = 3003
	CloseTimeout      = 3008
)

// What bounds a client. All the names that may be open fit one frame, also where what is not ASCII is escaped, which is
// then up to three times as long.
const (
	MaxFrameBytes = 256 << 10 // of one frame
	MaxChannels   = 1024      // open on one connection,
	MaxNamesBytes = 64 << 10  // and the bytes of their names together
)
