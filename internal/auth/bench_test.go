package auth_test

import "testing"

func BenchmarkAuthorize(b *testing.B) {
	const claims = `{"sub":"ann@example.com","mode":"rw","channels":["news","chat"],"exp":4102444800,"app":{"role":"editor"}}`
	keys := map[string]string{"HS256": secret, "RS256": jwkOf(rsaKey()), "ES256": jwkOf(p256Key()), "EdDSA": jwkOf(edKey())}
	for _, name := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		b.Run(name, func(b *testing.B) {
			parsed := parseKeys(b, keys[name])
			token, err := parsed.Sign([]byte(claims))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parsed.Authorize(b.Context(), token, "chat"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
