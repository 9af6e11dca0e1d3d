package client_test

import (
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
)

// patience is how long a test waits for what must happen. It is long, because only a failing test needs it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { pgtest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
