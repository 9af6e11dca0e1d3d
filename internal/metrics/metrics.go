// Package metrics counts what happens in the other rooms for Prometheus.
//
// Observer satisfies the interfaces that those rooms declare for it; this
// package imports none of them.
package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Observer counts. Its methods may be called from any goroutine.
type Observer struct {
	registry *prometheus.Registry

	sessions     prometheus.Gauge
	opened       prometheus.Counter
	closed       *prometheus.CounterVec
	slow         prometheus.Counter
	refused      *prometheus.CounterVec
	messages     prometheus.Counter
	publications prometheus.Counter
	deliveries   prometheus.Counter
	listenerUp   prometheus.Gauge
	reconnects   prometheus.Counter
	batches      prometheus.Histogram
	failures     prometheus.Counter
	unsendable   prometheus.Counter
}

// New returns an observer with all at zero, and the Go runtime's own figures.
func New(version string) *Observer {
	o := &Observer{
		registry:     prometheus.NewRegistry(),
		sessions:     gauge("pgws_sessions", "Sessions that are open."),
		opened:       counter("pgws_sessions_opened_total", "Sessions opened."),
		closed:       counters("pgws_sessions_closed_total", "Sessions closed, by close code (1006: none was sent or received).", "code"),
		slow:         counter("pgws_sessions_slow_total", "Sessions closed because they lagged or stalled."),
		refused:      counters("pgws_refusals_total", "Requests refused, and websockets whose first message was no good auth, by reason.", "reason"),
		messages:     counter("pgws_messages_received_total", "Messages from clients that may send."),
		publications: counter("pgws_publications_total", "Notifications heard."),
		deliveries:   counter("pgws_deliveries_total", "Publications handed to sessions' sockets."),
		listenerUp:   gauge("pgws_listener_up", "1 while notifications are heard."),
		reconnects:   counter("pgws_listener_reconnects_total", "Listener connections replaced."),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pgws_notify_batch_size",
			Help:    "Messages sent in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		failures:   counter("pgws_notify_failures_total", "Transactions that failed and were sent again."),
		unsendable: counter("pgws_notify_refused_total", "Messages that PostgreSQL refused for their text."),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pgws_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	o.registry.MustRegister(o.sessions, o.opened, o.closed, o.slow, o.refused, o.messages, o.publications, o.deliveries,
		o.listenerUp, o.reconnects, o.batches, o.failures, o.unsendable, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return o
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

// Handler serves the figures in Prometheus' text format.
func (o *Observer) Handler() http.Handler {
	return promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{})
}

// Received counts publications that the source has appended to the hub.
func (o *Observer) Received(publications int) { o.publications.Add(float64(publications)) }

// Delivered counts publications handed to sockets.
func (o *Observer) Delivered(publications int) { o.deliveries.Add(float64(publications)) }

// SessionOpened counts a session.
func (o *Observer) SessionOpened() {
	o.sessions.Inc()
	o.opened.Inc()
}

// SessionClosed counts the end of a session by its close code.
func (o *Observer) SessionClosed(code int) {
	o.sessions.Dec()
	o.closed.WithLabelValues(codeLabel(code)).Inc()
}

// codeLabel keeps the number of labels small: clients may close with any code
// from 3000 to 4999.
func codeLabel(code int) string {
	switch {
	case code >= 1000 && code <= 1015, code == 3001:
		return strconv.Itoa(code)
	case code >= 3000 && code < 4000:
		return "3xxx"
	case code >= 4000 && code < 5000:
		return "4xxx"
	}
	return "other"
}

// SlowSession counts a session that was ended for its slowness.
func (o *Observer) SlowSession() { o.slow.Inc() }

// Refused counts a refusal. The reason is one of a few fixed words, never text
// from outside: each makes a time series for as long as the server runs.
func (o *Observer) Refused(reason string) { o.refused.WithLabelValues(reason).Inc() }

// MessageReceived counts a client's message.
func (o *Observer) MessageReceived() { o.messages.Inc() }

// ListenerUp tells whether notifications are heard.
func (o *Observer) ListenerUp(up bool) {
	if up {
		o.listenerUp.Set(1)
	} else {
		o.listenerUp.Set(0)
	}
}

// Reconnected counts a listener's connection that was replaced.
func (o *Observer) Reconnected() { o.reconnects.Inc() }

// Notified counts a committed transaction.
func (o *Observer) Notified(messages int) { o.batches.Observe(float64(messages)) }

// NotifyFailed counts a transaction that will be sent again.
func (o *Observer) NotifyFailed() { o.failures.Inc() }

// NotifyRefused counts a message that PostgreSQL refused.
func (o *Observer) NotifyRefused() { o.unsendable.Inc() }
