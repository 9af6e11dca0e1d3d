package bench

import (
	"testing"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	type entry struct{ stream, number int }
	cases := map[string]struct {
		entries []entry
		fault   string // of the last entry
		missing string // when there is no fault
	}{
		"complete":                    {entries: []entry{{0, 0}, {0, 1}, {1, 0}, {0, 2}, {1, 1}, {1, 2}}},
		"nothing has come":            {missing: "6 messages of 2 clients have not come"},
		"the last one is lost":        {entries: []entry{{0, 0}, {0, 1}, {1, 0}, {0, 2}, {1, 1}}, missing: "1 messages of 1 clients have not come"},
		"one between is lost":         {entries: []entry{{0, 0}, {1, 0}, {0, 2}}, fault: "message 2 where 1 was due: lost or overtaken"},
		"the first one is lost":       {entries: []entry{{1, 1}}, fault: "message 1 where 0 was due: lost or overtaken"},
		"one is doubled":              {entries: []entry{{0, 0}, {0, 1}, {0, 1}}, fault: "message 1 again, where 2 was due"},
		"one is doubled at the end":   {entries: []entry{{0, 0}, {0, 1}, {0, 2}, {0, 2}}, fault: "message 2 again, where 3 was due"},
		"one that was never sent":     {entries: []entry{{0, 3}}, fault: "message 3, which was never sent"},
		"one of a client unheard of":  {entries: []entry{{2, 0}}, fault: "message 0 of client 2, which does not exist"},
		"one of a client less than 0": {entries: []entry{{-1, 0}}, fault: "message 0 of client -1, which does not exist"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger([]int{0, 0}, 1, 3)
			for i, e := range c.entries {
				fault := ""
				if err := l.take(e.stream, e.number); err != nil {
					fault = err.Error()
				}
				want := ""
				if i == len(c.entries)-1 {
					want = c.fault
				}
				if fault != want {
					t.Fatalf("entry %v: fault %q, want %q", e, fault, want)
				}
			}
			if c.fault != "" {
				return
			}
			if l.complete() != (c.missing == "") {
				t.Errorf("complete: %v, missing %q", l.complete(), l.missingText())
			}
			if c.missing != "" && l.missingText() != c.missing {
				t.Errorf("missing %q, want %q", l.missingText(), c.missing)
			}
		})
	}
}

func TestLedgerOfEveryThird(t *testing.T) {
	t.Parallel()
	l := newLedger([]int{0, 1, 2}, 3, 8) // 0 3 6, 1 4 7, 2 5
	if l.missing != 8 {
		t.Fatalf("%d missing, want 8", l.missing)
	}
	for number := range 8 {
		if err := l.take(number%3, number); err != nil {
			t.Fatal(err)
		}
	}
	if !l.complete() || l.missingText() != "0 messages of 0 clients have not come" {
		t.Error(l.missingText())
	}
	if err := l.take(0, 6); err == nil {
		t.Error("one is doubled: no error")
	}
	if err := newLedger([]int{0, 1, 2}, 3, 8).take(1, 2); err == nil {
		t.Error("another's: no error")
	}
}

func TestLedgerExcuses(t *testing.T) {
	t.Parallel()
	l := newLedger([]int{0, 0}, 1, 5)
	want := func(missing string) {
		t.Helper()
		if got := l.missingText(); got != missing {
			t.Fatalf("%s, want %s", got, missing)
		}
	}
	enter := func(stream, number int) {
		t.Helper()
		if err := l.take(stream, number); err != nil {
			t.Fatal(err)
		}
	}
	enter(1, 0)
	want("9 messages of 2 clients have not come")
	l.excuse(1)
	l.excuse(1)
	want("5 messages of 1 clients have not come")
	enter(1, 2) // It has come again, and missed some.
	want("7 messages of 2 clients have not come")
	if err := l.take(1, 4); err == nil {
		t.Error("one is lost since: no error")
	}
	enter(1, 3)
	enter(1, 4)
	for number := range 5 {
		enter(0, number)
	}
	if !l.complete() {
		t.Error(l.missingText())
	}
}
