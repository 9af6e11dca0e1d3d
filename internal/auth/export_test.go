package auth

import "net/http"

// SetTransport puts another transport under a remote set, for its tests.
func (k *Keys) SetTransport(transport http.RoundTripper) { k.remote.client.Transport = transport }
