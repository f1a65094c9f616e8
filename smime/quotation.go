package smime

import "fmt"

// Quotation returns what an answer to the message, or one that passes it on, may quote of its text: that of [Message.Text],
// which is what is displayed as one message, and so nothing of enclosed parts, of parts that stay shut, or of text that others
// do not see. limit is that of Text.
//
// bound says that a good signature speaks for its sender, as in [Message.From]. Without one the error is ErrNotQuotable where
// the message is encrypted: whoever got hold of somebody else's ciphertext can send it on under a name of their own, to get
// its text back with the answer. It is also the error where there is no text because a layer did not open.
func (m *Message) Quotation(bound bool, limit int64) (string, error) {
	switch {
	case m.Content == nil:
		return "", fmt.Errorf("%w: a layer around it did not open", ErrNotQuotable)
	case m.Encryption() != StatusNone && !bound:
		return "", fmt.Errorf("%w: it was encrypted, and no good signature shows that its sender knew it: an answer could tell it to somebody it was kept from", ErrNotQuotable)
	}
	text, err := m.Text(limit)
	if err != nil {
		return "", err
	}
	return text.Body, nil
}
