package server

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// Listen binds a port on a host as PGWS_HOST writes it: "*" and "*6" any,
// "*4" any preferring IPv4, "!4" and "!6" only that family, or a host's name or
// address. Port 0 takes a free one.
func Listen(ctx context.Context, host string, port int) (net.Listener, error) {
	var listener net.Listener
	var err error
	for _, try := range addresses(host) {
		var config net.ListenConfig
		listener, err = config.Listen(ctx, try.network, net.JoinHostPort(try.host, strconv.Itoa(port)))
		if err == nil {
			return listener, nil
		}
	}
	return nil, fmt.Errorf("server: listen on %s, port %d: %w", host, port, err)
}

type address struct{ network, host string }

// addresses returns what to try, in this order. An IPv6 socket of the network
// "tcp" takes IPv4 too.
func addresses(host string) []address {
	v4, v6, both := address{"tcp4", "0.0.0.0"}, address{"tcp6", "::"}, address{"tcp", ""}
	switch host {
	case "*", "*6":
		return []address{both, v4}
	case "*4":
		return []address{v4, both}
	case "!4":
		return []address{v4}
	case "!6":
		return []address{v6}
	}
	if ip := net.ParseIP(host); ip.To4() != nil {
		return []address{{"tcp4", host}} // "tcp" would take 0.0.0.0 for IPv6 too
	}
	return []address{{"tcp", host}}
}
