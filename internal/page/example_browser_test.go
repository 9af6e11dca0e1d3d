package page_test

import (
	"net/http"
	"testing"

	"pgws/internal/page/browsertest"
)

// The example in client-example works as it is when its folder is served.
func TestClientExample(t *testing.T) {
	t.Parallel()
	r := newRelay(t, http.FileServer(http.Dir("../../client-example")))
	token, err := sign([]byte(`{"mode":"rw","sub":"me"}`))
	if err != nil {
		t.Fatal(err)
	}

	p := browsertest.Open(t, r.URL+"/#"+token)
	p.Want(`location.href.endsWith("/") && document.querySelector("[name=token]").value.length > 10`)
	p.Click("#join button")
	p.Wait(`document.querySelector("#state").textContent === "Joined chat."`)
	p.Enter("[name=text]", "hello <b>")
	p.Press("\r")
	p.Wait(`document.querySelector("#messages").textContent === "me: hello <b>"`)
	r.notify(`{"channel":"chat","payload":"from SQL"}`)
	p.Wait(`document.querySelector("#messages li:last-child").textContent === "from SQL"`)
	r.notify(`{"channel":"chat","payload":{"id":1}}`)
	p.Wait(`document.querySelector("#messages li:last-child").textContent === '{"channel":"chat","payload":{"id":1}}'`)
	p.Theme("dark")
	p.Size(390, 844, 1)
	p.Want(`document.documentElement.scrollWidth <= 390`)

	t.Log("Another channel takes the place of the first.")
	p.Enter("[name=channel]", listenChannel)
	p.Press("\r")
	p.Wait(`document.querySelector("#state").textContent === "Joined ` + listenChannel + `."`)
	r.notify(`raw`)
	p.Wait(`document.querySelector("#messages li:last-child").textContent === "raw"`)
	r.end(3001, "JWT expired")
	p.Wait(`document.querySelector("#state").textContent === "Closed: 3001 JWT expired"`)
	p.Want(`document.querySelector("#send button").disabled`)

	t.Log("A token in the query string is not taken.")
	p = browsertest.Open(t, r.URL+"/?token="+token+"&"+token)
	p.Want(`document.querySelector("[name=token]").value === ""`)
}
