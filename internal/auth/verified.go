package auth

import (
	"crypto/sha256"
	"sync"
)

// maxVerified bounds the tokens that a set remembers, each with 80 to 160 bytes.
const maxVerified = 16384

// A keySet is a set of keys, and the tokens that were found to be signed by one
// of them: a client that comes back, or a token that many share, costs no second
// public-key operation. When the keys change there is a new set, which knows no
// tokens yet.
type keySet struct {
	keys     []key
	document string // that they were read from, when they are remote

	mu sync.Mutex
	// verified holds the digests of these tokens, signatures included. Their claims
	// are read each time, so that a remembered token ends as any other.
	verified map[[sha256.Size]byte]struct{}
}

// verify checks that one of the keys has signed the token, and remembers it.
func (s *keySet) verify(t *token) error {
	if err := s.verifySignature(t); err != nil {
		return err
	}
	if !t.isHMAC() {
		s.remember(t.digest)
	}
	return nil
}

func (s *keySet) remembers(t *token) bool {
	if t.isHMAC() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.verified[t.digest]
	return ok
}

// remember puts a token in the place of any other when there are too many.
func (s *keySet) remember(digest [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified == nil {
		s.verified = make(map[[sha256.Size]byte]struct{})
	}
	if len(s.verified) >= maxVerified {
		for other := range s.verified {
			delete(s.verified, other)
			break
		}
	}
	s.verified[digest] = struct{}{}
}
