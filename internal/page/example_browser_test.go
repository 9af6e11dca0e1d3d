package page_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// The example in client-example works as it is when its folder is served.
func TestClientExample(t *testing.T) {
	t.Parallel()
	r := newRelay(t, http.FileServer(http.Dir("../../client-example")))
	token, err := sign([]byte(`{"mode":"rw","sub":"me"}`))
	if err != nil {
		t.Fatal(err)
	}

	p := open(t, r.URL+"/#"+token)
	p.want(`location.href.endsWith("/") && document.querySelector("[name=token]").value.length > 10`)
	p.click("#join button")
	p.wait(`document.querySelector("#state").textContent === "Joined chat."`)
	p.enter("[name=text]", "hello <b>")
	p.press("\r")
	p.wait(`document.querySelector("#messages").textContent === "me: hello <b>"`)
	r.notify(`{"channel":"chat","payload":"from SQL"}`)
	p.wait(`document.querySelector("#messages li:last-child").textContent === "from SQL"`)
	r.notify(`{"channel":"chat","payload":{"id":1}}`)
	p.wait(`document.querySelector("#messages li:last-child").textContent === '{"channel":"chat","payload":{"id":1}}'`)
	p.picture("client-example-light")
	p.theme("dark")
	p.do(chromedp.EmulateViewport(390, 844))
	p.want(`document.documentElement.scrollWidth <= 390`)
	p.picture("client-example-390-dark")

	t.Log("Another channel takes the place of the first.")
	p.enter("[name=channel]", listenChannel)
	p.press("\r")
	p.wait(`document.querySelector("#state").textContent === "Joined ` + listenChannel + `."`)
	r.notify(`raw`)
	p.wait(`document.querySelector("#messages li:last-child").textContent === "raw"`)
	r.end(3001, "JWT expired")
	p.wait(`document.querySelector("#state").textContent === "Closed: 3001 JWT expired"`)
	p.want(`document.querySelector("#send button").disabled`)

	t.Log("A token in the query string is not taken.")
	p = open(t, r.URL+"/?token="+token+"&"+token)
	p.want(`document.querySelector("[name=token]").value === ""`)
}
