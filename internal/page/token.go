package page

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

// maxClaims is the most that is read of the claims to sign, in bytes.
const maxClaims = 8 << 10

// token answers POST /.pgws/token. Its content type must be application/json, which no HTML form can send.
func token(sign func([]byte) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
			http.Error(w, "The content type must be application/json.", http.StatusUnsupportedMediaType)
			return
		}
		claims, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxClaims))
		if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
			http.Error(w, "The claims are larger than 8 kB.", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "Reading the claims: "+err.Error(), http.StatusBadRequest)
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(claims, &object); err != nil {
			http.Error(w, "The claims are not a JSON object: "+err.Error(), http.StatusBadRequest)
			return
		}
		if object == nil {
			http.Error(w, "The claims are not a JSON object: null.", http.StatusBadRequest)
			return
		}
		signed, err := sign(claims)
		if err != nil {
			http.Error(w, "The claims cannot be signed: "+err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := json.Marshal(map[string]string{"token": signed})
		if err != nil {
			http.Error(w, "Writing the token as JSON: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		send(w, answer)
	}
}
