package smime

import (
	"errors"

	"github.com/sealmail/sealmail/smime/cms"
)

// Errors of this package; they arrive wrapped. Errors about a signature are those of [cms.SignerInfo.Verify] and the
// ones that say so here.
var (
	// ErrNotRecipient is what a Decrypter says of a RecipientInfo that is for another certificate.
	ErrNotRecipient = cms.ErrNotRecipient
	// ErrTooManyLayers says that more layers are nested than Limits.Layers.
	ErrTooManyLayers = errors.New("layers of protection are nested too deeply")
	// ErrDamaged says that an encrypted layer cannot be read at all.
	ErrDamaged = errors.New("encrypted message is damaged")
	// ErrNoKey says that no key at hand is that of a recipient.
	ErrNoKey = errors.New("no key at hand opens this message")

	// ErrTwoContents says that a detached signature carries a content of its own, so that there are two to choose from:
	// a forgery.
	ErrTwoContents = cms.ErrTwoContents
	// ErrNotDetached says that a content was given for a detached signature, and that this is none that stands alone: it
	// signs something else.
	ErrNotDetached = errors.New("this is no detached signature by itself: the content given for it is not what it signs")
	// ErrNoContent says that a detached signature stands alone, without the content that it signs.
	ErrNoContent = errors.New("signed content is missing")
	// ErrNoCertificate says that the signer's certificate is neither in the message nor among those at hand.
	ErrNoCertificate = cms.ErrNoCertificate
	// ErrStructure says that a signed message is not built as RFC 1847 section 2.1 or RFC 8551 section 3.5 say.
	ErrStructure = errors.New("signed message is not well formed")

	// ErrNotQuotable says that an answer must not quote the text: see [Message.Quotation].
	ErrNotQuotable = errors.New("text is not to be quoted")

	// ErrProtected says that header protection is already there.
	ErrProtected = errors.New("entity has protected header fields already")
)
