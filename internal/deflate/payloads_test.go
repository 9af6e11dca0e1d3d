package deflate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are payloads as notifications have them, of about n bytes.
var kinds = []struct {
	name string
	make func(r *rand.Rand, n int) string
}{
	{"chat", chat},
	{"rows", rows},
	{"uuids", uuids},
	{"base64", base64},
}

// chat is a message of a client: prose with its claims.
func chat(r *rand.Rand, n int) string {
	head := fmt.Sprintf(`{"event":"WebsocketMessage","channel":"room-%d","payload":"`, r.IntN(1000))
	end := fmt.Sprintf(`","claims":{"mode":"rw","channels":["room-1","room-2"],"exp":1795352315,"sub":"%s",`+
		`"message_delivered_at":%.6f}}`, uuid(r), 1795352315+r.Float64())
	return head + prose(r, max(n-len(head)-len(end), 0)) + end
}

// rows is what a trigger makes of a table's rows: names that repeat, and values that do not.
func rows(r *rand.Rand, n int) string {
	var list []string
	for size := 80; size < n; size += len(list[0]) {
		list = append(list, fmt.Sprintf(`{"id":%d,"customer_id":"%s","status":"%s","total":%.2f,`+
			`"created_at":"2026-09-%02dT%02d:%02d:%02d.%06d+00:00","note":"%s","express":%t,"parent":null}`,
			r.IntN(1e7), uuid(r), []string{"pending", "shipped", "paid"}[r.IntN(3)], r.Float64()*1000,
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6), prose(r, 40), r.IntN(2) == 0))
	}
	return `{"channel":"orders","operation":"UPDATE","table":"orders","rows":[` + strings.Join(list, ",") + "]}"
}

// uuids is a list of identifiers: few letters, no repetitions.
func uuids(r *rand.Rand, n int) string {
	var list []string
	for len(list)*39 < n {
		list = append(list, `"`+uuid(r)+`"`)
	}
	return `{"channel":"x","ids":[` + strings.Join(list, ",") + "]}"
}

// base64 is a binary or encrypted update.
func base64(r *rand.Rand, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	data := make([]byte, n)
	for i := range data {
		data[i] = letters[r.IntN(len(letters))]
	}
	return `{"channel":"doc-1","update":"` + string(data) + `"}`
}

func uuid(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x",
		r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Uint64N(1<<48))
}

// words are the hundred or so that English uses most, and those of a shop.
var words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have
	from or had an they which one you were all her she there would their we him been has when who will no more if
	out so up said what its about than into them can only other time new some could these two may first then do any
	like my now over such our man me even most made after also did many off before must well back through years much
	where your way down should because long each just state those people too how little good world make very year
	order total price customer address delivery payment invoice status shipped pending`)

func prose(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()[:n]
}
