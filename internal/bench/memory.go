package bench

import "time"

// sampleEvery is how often a server's memory is looked at while something goes on.
const sampleEvery = 100 * time.Millisecond

// A memory watches the resident memory of a target's process. Without a process it has nothing to say.
type memory struct {
	server  process
	before  int
	highest int
	sampled time.Time
}

func watchMemory(t *Target) (*memory, error) {
	m := &memory{server: process(t.PID)}
	if t.PID == 0 {
		return m, nil
	}
	var err error
	m.before, err = m.server.resident()
	m.highest = m.before
	return m, err
}

// sample looks, when it is time.
func (m *memory) sample() error {
	if m.server == 0 || time.Since(m.sampled) < sampleEvery {
		return nil
	}
	m.sampled = time.Now()
	now, err := m.server.resident()
	m.highest = max(m.highest, now)
	return err
}

// report looks a last time and adds what was seen.
func (m *memory) report(r *Report) error {
	if m.server == 0 {
		return nil
	}
	after, err := m.server.resident()
	if err != nil {
		return err
	}
	r.addMemory("memory, before", m.before)
	r.addMemory("memory, highest", max(m.highest, after))
	r.addMemory("memory, after", after)
	return nil
}
