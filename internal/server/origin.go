package server

import (
	"net/http"
	"slices"
	"strings"
)

// Origins are those whose pages may use the server (RFC 6454): exact ones, such as
// https://app.example.com, or https://*.example.com for all names below. None: any.
type Origins []string

// allow reports whether a request is allowed by its origin. One without is no
// browser's, or comes from our own page.
func (o Origins) allow(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || len(o) == 0 || slices.ContainsFunc(o, func(allowed string) bool {
		scheme, domain, wild := strings.Cut(allowed, "*.")
		if !wild {
			return origin == allowed
		}
		name, ok := strings.CutPrefix(origin, scheme)
		return ok && len(name) > len(domain)+1 && strings.HasSuffix(name, "."+domain)
	})
}

var errOrigin = forbidden("origin", "this origin is not allowed")

// What a page of another origin may do (Fetch Standard, "CORS protocol").
const (
	corsMethods = "GET, POST"
	corsHeaders = "Authorization, Content-Type, Last-Event-ID"
	corsSeconds = "600"
)

// share sets the headers that let a page of an allowed origin read the answer.
func (s *Server) share(h http.Header, r *http.Request) {
	if len(s.AllowedOrigins) == 0 {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !s.AllowedOrigins.allow(r) {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if s.TokenCookie != "" {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	h.Set("Access-Control-Expose-Headers", "Retry-After")
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight answers a browser that asks whether a page may.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	s.share(w.Header(), r)
	if !s.AllowedOrigins.allow(r) {
		s.refuse(w, r, "preflight", errOrigin)
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", corsMethods)
	w.Header().Set("Access-Control-Allow-Headers", corsHeaders)
	w.Header().Set("Access-Control-Max-Age", corsSeconds)
	w.WriteHeader(http.StatusNoContent)
}
