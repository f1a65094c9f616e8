package cms

import "errors"

// ErrNotRecipient says that a RecipientInfo is for another certificate than the one at hand: the next may be tried.
// Whoever holds keys returns it; this package does not.
var ErrNotRecipient = errors.New("message is not encrypted to this certificate")
