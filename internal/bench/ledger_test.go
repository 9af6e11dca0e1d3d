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
			l := newLedger(2, 3)
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
