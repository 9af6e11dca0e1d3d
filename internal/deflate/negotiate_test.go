package deflate_test

import (
	"regexp"
	"strings"
	"testing"

	"pgws/internal/deflate"
)

const (
	accepted       = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	acceptedWindow = accepted + "; server_max_window_bits=15"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values []string
		want   string
	}{
		"Firefox": {[]string{"permessage-deflate"}, accepted},
		"Chrome":  {[]string{"permessage-deflate; client_max_window_bits"}, accepted},
		"all": {[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover; " +
			"server_max_window_bits=15; client_max_window_bits=8"}, acceptedWindow},
		"another order":       {[]string{"permessage-deflate;server_max_window_bits=15;client_no_context_takeover"}, acceptedWindow},
		"quoted":              {[]string{`permessage-deflate; client_max_window_bits="10"`}, accepted},
		"a quoted window":     {[]string{`permessage-deflate; server_max_window_bits="15"`}, acceptedWindow},
		"space":               {[]string{"\t permessage-deflate\t;  client_max_window_bits = 9 "}, accepted},
		"among others":        {[]string{"x-a; b=c, permessage-deflate , x-d"}, accepted},
		"empty elements":      {[]string{", ,,permessage-deflate,"}, accepted},
		"in a later header":   {[]string{"", "x-a", "permessage-deflate"}, accepted},
		"the first of two":    {[]string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, accepted},
		"the second of two":   {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, accepted},
		"behind a broken one": {[]string{"permessage-deflate; =, permessage-deflate; client_max_window_bits"}, accepted},
		"behind a quoted comma": {
			[]string{`x-a; b="c, permessage-deflate; server_max_window_bits=15", permessage-deflate`}, accepted,
		},
		"behind an escaped quote": {[]string{`x-a; b="\",\\", permessage-deflate`}, accepted},

		"no header":          {nil, ""},
		"an empty one":       {[]string{""}, ""},
		"another":            {[]string{"x-webkit-deflate-frame"}, ""},
		"a longer name":      {[]string{"permessage-deflate2, xpermessage-deflate, permessage-deflate x"}, ""},
		"another case":       {[]string{"Permessage-Deflate"}, ""},
		"a quoted name":      {[]string{`"permessage-deflate"`}, ""},
		"only quoted":        {[]string{`x-a; b=", permessage-deflate"`}, ""},
		"a quote's no end":   {[]string{`x-a; b=", permessage-deflate`}, ""},
		"an escape's no end": {[]string{`permessage-deflate; client_max_window_bits="10\`}, ""},

		"unknown parameter":  {[]string{"permessage-deflate; mux"}, ""},
		"empty parameter":    {[]string{"permessage-deflate;"}, ""},
		"no name":            {[]string{"permessage-deflate; =15"}, ""},
		"a case":             {[]string{"permessage-deflate; Client_Max_Window_Bits"}, ""},
		"doubled":            {[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		"doubled window":     {[]string{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"}, ""},
		"doubled, no value":  {[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits=15"}, ""},
		"value too much":     {[]string{"permessage-deflate; server_no_context_takeover=true"}, ""},
		"empty value":        {[]string{"permessage-deflate; client_no_context_takeover="}, ""},
		"no window":          {[]string{"permessage-deflate; server_max_window_bits"}, ""},
		"a smaller window":   {[]string{"permessage-deflate; server_max_window_bits=14"}, ""},
		"a window too small": {[]string{"permessage-deflate; client_max_window_bits=7"}, ""},
		"a window too large": {[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		"an empty window":    {[]string{"permessage-deflate; client_max_window_bits="}, ""},
		"an empty quoted":    {[]string{`permessage-deflate; client_max_window_bits=""`}, ""},
		"a leading zero":     {[]string{"permessage-deflate; client_max_window_bits=08"}, ""},
		"a sign":             {[]string{"permessage-deflate; client_max_window_bits=+8"}, ""},
		"half a quote":       {[]string{`permessage-deflate; client_max_window_bits="`}, ""},
		"behind a quote":     {[]string{`permessage-deflate; client_max_window_bits="8"x`}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := deflate.Negotiate(tt.values); got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %t, want %q", got, ok, tt.want)
			}
		})
	}
}

// FuzzNegotiate compares with expressions for the grammar of RFC 6455, section 9.1.
func FuzzNegotiate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits")
	f.Add("permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=\"15\"")
	f.Add(`x-a; b="c\", permessage-deflate", permessage-deflate;client_max_window_bits = "9"`)
	f.Add("permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_no_context_takeover")
	f.Add(`permessage-deflate; client_max_window_bits="\`)
	f.Fuzz(func(t *testing.T, value string) {
		want := reference(value)
		if got, ok := deflate.Negotiate([]string{value}); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", value, got, ok, want)
		}
	})
}

var (
	element = regexp.MustCompile(`(?s)([^",]|"([^"\\]|\\.)*("|\\?$))+`)
	offer   = regexp.MustCompile(`^[ \t]*permessage-deflate[ \t]*((;[ \t]*[a-z_]+([ \t]*=[ \t]*("[0-9]+"|[0-9]+))?[ \t]*)*)$`)
	param   = regexp.MustCompile(`;[ \t]*([a-z_]+)[ \t]*(=[ \t]*"?([0-9]+)"?)?`)
	known   = regexp.MustCompile(`^((server|client)_no_context_takeover|client_max_window_bits(=([89]|1[0-5]))?|server_max_window_bits=15)$`)
)

func reference(value string) (response string) {
elements:
	for _, e := range element.FindAllString(value, -1) {
		parts := offer.FindStringSubmatch(e)
		if parts == nil {
			continue
		}
		response, seen := accepted, map[string]int{}
		for _, p := range param.FindAllStringSubmatch(parts[1], -1) {
			text := p[1]
			if p[2] != "" {
				text += "=" + p[3]
			}
			if seen[p[1]]++; seen[p[1]] > 1 || !known.MatchString(text) {
				continue elements
			}
			if strings.HasPrefix(text, "server_max") {
				response = acceptedWindow
			}
		}
		return response
	}
	return ""
}

func BenchmarkNegotiate(b *testing.B) {
	for name, value := range map[string]string{
		"Chrome": "permessage-deflate; client_max_window_bits",
		"64 kB":  strings.Repeat("permessage-deflate; a,", 64<<10/22),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				deflate.Negotiate([]string{value})
			}
		})
	}
}
