package main

// A tally counts results. Its zero value is empty.
type tally struct {
	passed   int
	failures []string // What failed.
	skips    []string // What was skipped, and why.
}

// close ends the tally of a step that returned err. A step without tests counts as one itself, and so does a failure
// that none of its tests accounts for.
func (t *tally) close(err error) {
	switch {
	case err != nil && len(t.failures) == 0:
		t.failures = []string{err.Error()}
	case err == nil && t.passed+len(t.failures)+len(t.skips) == 0:
		t.passed = 1
	}
}

// add adds the tally of a step to that of all.
func (t *tally) add(step string, other tally) {
	t.passed += other.passed
	for _, failure := range other.failures {
		t.failures = append(t.failures, step+": "+failure)
	}
	for _, skip := range other.skips {
		t.skips = append(t.skips, step+": "+skip)
	}
}

// verdict is one word on the step whose tally this is.
func (t *tally) verdict() string {
	if len(t.failures) > 0 {
		return "FAILED"
	}
	return "ok"
}
