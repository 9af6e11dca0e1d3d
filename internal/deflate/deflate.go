// Package deflate is permessage-deflate, the compression of websocket messages
// (RFC 7692): what is agreed in the handshake, and a message's way to its
// compressed form and back.
//
// Neither side keeps its window from one message to the next. So a message is
// compressed once for all connections, and nothing is kept for a connection.
//
// It imports nothing of ours and knows no frames: RSV1 is the caller's.
package deflate

// tail ends the data of every message and does not travel: the rest of an empty
// block without compression, whose first bits are the message's last
// (section 7.2.1).
const tail = "\x00\x00\xff\xff"
