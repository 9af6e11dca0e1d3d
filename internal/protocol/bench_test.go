package protocol_test

import (
	"encoding/json"
	"testing"

	"pgws/internal/protocol"
)

// BenchmarkParseRequest reads a publish. One operation is one frame.
func BenchmarkParseRequest(b *testing.B) {
	frame := []byte(`{"id":12345,"op":"publish","channel":"room:42","payload":{"from":"ann","text":"the quick brown fox jumps over the lazy dog"},"echo":false}`)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.ParseRequest(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceipt writes the answer to a publish. One operation is one frame.
func BenchmarkReceipt(b *testing.B) {
	answer := &protocol.Answer{ID: json.RawMessage(`12345`), Op: protocol.OpOK, DeliveredAt: 1795352315019831}
	b.ReportAllocs()
	for b.Loop() {
		protocol.JSON(answer)
	}
}
