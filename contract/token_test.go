package contract_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
)

// secret signs the tokens of servers whose test does not care.
const secret = "the-secret-of-the-contract-suite-0123456789"

// token is signed as most users sign theirs. Tokens are made here by hand, so that nothing of pgws, nor a library that
// it uses, is trusted to make them right or wrong.
func token(claims string) string {
	return jwt(`{"alg":"HS256","typ":"JWT"}`, claims, hs256([]byte(secret)))
}

// A signer returns the signature of a token's first two parts.
type signer func(signed string) []byte

func jwt(header, claims string, sign signer) string {
	signed := base64URL([]byte(header)) + "." + base64URL([]byte(claims))
	return signed + "." + base64URL(sign(signed))
}

func base64URL(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func hs256(key []byte) signer { return hs(sha256.New, key) }

func hs(hash func() hash.Hash, key []byte) signer {
	return func(signed string) []byte {
		mac := hmac.New(hash, key)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
}

func hs512(key []byte) signer { return hs(sha512.New, key) }

func rs256(key *rsa.PrivateKey) signer {
	return func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		must(err)
		return signature
	}
}

func es256(key *ecdsa.PrivateKey) signer {
	return func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func eddsa(key ed25519.PrivateKey) signer {
	return func(signed string) []byte { return ed25519.Sign(key, []byte(signed)) }
}

// unsigned is what "alg":"none" asks for.
func unsigned(string) []byte { return nil }

// octJWK, rsaJWK, ecJWK and edJWK write keys as JSON; extra are further members, such as ,"kid":"a".
func octJWK(key []byte, extra string) string {
	return fmt.Sprintf(`{"kty":"oct","k":%q%s}`, base64URL(key), extra)
}

func rsaJWK(key *rsa.PublicKey, extra string) string {
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q%s}`,
		base64URL(key.N.Bytes()), base64URL(big.NewInt(int64(key.E)).Bytes()), extra)
}

func ecJWK(key *ecdsa.PublicKey, extra string) string {
	point, err := key.Bytes() // 4, then both coordinates
	must(err)
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q%s}`, base64URL(point[1:33]), base64URL(point[33:]), extra)
}

func edJWK(key ed25519.PublicKey, extra string) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q%s}`, base64URL(key), extra)
}

// must is for what fails only when the machine has no randomness.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
