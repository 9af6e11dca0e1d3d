package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// prompt returns a message that is not to be kept.
func prompt(text string) (hub.Message, <-chan answer) {
	m, answers := asking(text)
	m.Prompt = true
	return m, answers
}

func expectUnavailable(t *testing.T, n *Notifier) {
	t.Helper()
	m, _ := prompt("refused")
	if err := n.Publish(t.Context(), m); !errors.Is(err, hub.ErrUnavailable) {
		t.Errorf("Publish: %v", err)
	}
}

// publishPromptly tries until a message is accepted.
func publishPromptly(t *testing.T, n *Notifier, text string) {
	t.Helper()
	m, answers := prompt(text)
	eventually(t, "PostgreSQL is still away", func() bool {
		err := n.Publish(t.Context(), m)
		if err != nil && !errors.Is(err, hub.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	expectCommitted(t, answers)
}

// TestPromptWithoutListener stops the server: others' messages are kept.
func TestPromptWithoutListener(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	n, _ := notify(t, cluster.URI(), nil)
	h, _ := listen(t, cluster.URI(), func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	publishPromptly(t, n, "0")
	if err := cluster.Stop(t.Context(), devpg.Fast); err != nil {
		t.Fatal(err)
	}
	h.awaitUp(t, false)
	expectUnavailable(t, n)
	publish(t, n, message("1"))
	expectUnavailable(t, n)
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.awaitUp(t, true)
	publishPromptly(t, n, "2")
	publish(t, n, message("3"))
	expectAll(t, h, 4)
}

// TestPromptAfterFailure breaks the notifier's connections, and no listener tells.
func TestPromptAfterFailure(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	n, counts := notify(t, proxied, nil)
	await(t, n.Ready(), "the notifier")
	publishPromptly(t, n, "before")
	p.Stop()
	m, answers := asking("kept")
	publish(t, n, m)
	eventually(t, "no transaction fails", func() bool {
		counts.mu.Lock()
		defer counts.mu.Unlock()
		return counts.failures > 0
	})
	expectUnavailable(t, n)
	expectNoMore(t, answers)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	expectCommitted(t, answers)
	publishPromptly(t, n, "after")
}

// TestPromptWithFullQueue has messages wait for room, and the notifier end.
func TestPromptWithFullQueue(t *testing.T) {
	t.Parallel()
	n := NewNotifier(NotifierOptions{QueueBytes: 1})
	publish(t, n, message("first"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	m, _ := prompt("refused")
	if err := n.Publish(ctx, m); !errors.Is(err, hub.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a prompt message: %v", err)
	}
	if err := n.Publish(ctx, message("patient")); errors.Is(err, hub.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another: %v", err)
	}
	if n.Full() {
		t.Error("nobody waits, but the notifier says so")
	}
	n.refuseMore()
	expectUnavailable(t, n)
	if diff := cmp.Diff([]string{"first"}, queued(t, n)); diff != "" {
		t.Error(diff)
	}
}
