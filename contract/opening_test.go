package contract_test

import "testing"

func TestTravel(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(`{"mode":"rw"}`))
	s.notify(t, `{"channel":"chat","payload":"from SQL"}`)
	c.expect(`{"channel":"chat","payload":"from SQL"}`)
	c.send("hello")
	t.Log(c.receiveMessage())
}
