package auth

// A Refusal is why a token opens nothing. Its text is meant for the client.
type Refusal struct {
	// Forbidden tells a good token that does not allow what was asked from a bad one.
	Forbidden bool
	// Reason is a short word for counting.
	Reason string
	text   string
}

// Error returns the text.
func (r *Refusal) Error() string { return r.text }

// The refusals with a text of their own; others begin with "Error: ".
var (
	ErrMissingToken  = &Refusal{Reason: "missing_token", text: "Error: no token"}
	ErrExpired       = &Refusal{Reason: "expired", text: "Token expired"}
	ErrNotYetValid   = &Refusal{Reason: "not_yet_valid", text: "Error: token not valid yet"}
	ErrWrongIssuer   = &Refusal{Reason: "wrong_issuer", text: "Error: the token is from another issuer"}
	ErrWrongAudience = &Refusal{Reason: "wrong_audience", text: "Error: the token is for another audience"}
	ErrMissingMode   = &Refusal{Forbidden: true, Reason: "missing_mode", text: "Missing mode"}
	ErrUnknownMode   = &Refusal{Forbidden: true, Reason: "unknown_mode", text: "Error: mode must be r, w or rw"}
	ErrNoChannels    = &Refusal{Forbidden: true, Reason: "no_channels", text: "No allowed channels"}
)

func refuse(reason string, err error) *Refusal {
	return &Refusal{Reason: reason, text: "Error: " + err.Error()}
}
