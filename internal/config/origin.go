package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// origins reads a list of origins, separated by commas or spaces, each as browsers
// write it: scheme, host and port, in lower case, the port left out if it is the
// scheme's own. "*." in front of the host stands for all of its subdomains.
func origins(v string) ([]string, error) {
	var list []string
	for text := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
		origin, err := parseOrigin(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		list = append(list, origin)
	}
	if list == nil {
		return nil, errors.New("no origin in it")
	}
	return list, nil
}

func parseOrigin(text string) (string, error) {
	switch text {
	case "*":
		return "", errors.New("any origin is allowed when the variable is unset")
	case "null":
		return "", errors.New("many pages have the origin null, of anybody")
	}
	text = strings.ToLower(text)
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return "", errors.New("no origin such as https://app.example.com or http://localhost:8080")
	}
	if u.Scheme+"://"+u.Host != text {
		return "", errors.New("an origin is a scheme, a host and at most a port: no path, not even a slash at its end")
	}
	host := strings.TrimPrefix(u.Hostname(), "*.")
	if strings.ContainsRune(host, '*') || strings.HasPrefix(host, ".") || host == "" {
		return "", errors.New("* stands in front of a domain only, as in https://*.example.com")
	}
	for _, r := range host {
		if r >= 0x80 {
			return "", errors.New("browsers write such a host in ASCII (xn--…)")
		}
	}
	return originOf(u)
}

// originOf writes an origin without the port that its scheme implies.
func originOf(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("the port is missing")
		}
		return u.Scheme + "://" + u.Host, nil
	}
	if _, err := integer(port, 1, 65535); err != nil {
		return "", err
	}
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return u.Scheme + "://" + strings.TrimSuffix(u.Host, ":"+port), nil
	}
	return u.Scheme + "://" + u.Host, nil
}
