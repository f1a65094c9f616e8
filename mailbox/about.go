package mailbox

import (
	"context"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Supports reports whether the server has a capability (RFC 9051 section 7.2.2), by itself or as a part of the protocol's
// version.
func (s *IMAP) Supports(ctx context.Context, capability string) (bool, error) {
	session, err := s.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer s.release()
	return session.caps.Has(imap.Cap(capability)), nil
}

// Unseen returns how many messages of a folder are not marked as seen. A folder that is not open stays closed for that.
func (s *IMAP) Unseen(ctx context.Context, folder string) (uint32, error) {
	folder, err := folderName(folder)
	if err != nil {
		return 0, err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer s.release()
	if session.selected == folder { // RFC 9051 section 6.3.11: STATUS is not for the selected folder.
		uids, err := s.search(ctx, session, &imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, 1)
		if err != nil {
			return 0, inFolder(folder, err)
		}
		return uint32(len(uids)), nil
	}
	var data *imap.StatusData
	err = session.do(ctx, "ask for folder", answerBudget, func() (err error) {
		data, err = session.client.Status(folder, &imap.StatusOptions{NumUnseen: true}).Wait()
		return err
	})
	if err != nil {
		return 0, inFolder(folder, session.explain(ctx, folder, err))
	}
	if data.NumUnseen == nil {
		return 0, inFolder(folder, s.nonsense(session, "ask for folder", "the number of unseen messages is missing"))
	}
	return *data.NumUnseen, nil
}

// Quota is how much of the space that there is for a folder's messages is used.
type Quota struct {
	Used, Limit int64 // octets
}

// Quota asks for the space that a folder's messages have (RFC 9208 section 4.1.2); of several bounds it is the one that is
// nearest. It returns nil where the server sets none or does not tell.
func (s *IMAP) Quota(ctx context.Context, folder string) (*Quota, error) {
	folder, err := folderName(folder)
	if err != nil {
		return nil, err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release()
	if !session.caps.Has(imap.CapQuota) {
		return nil, nil
	}
	var data []imapclient.QuotaData
	err = session.do(ctx, "quota", folderBudget, func() error {
		data, err = session.client.GetQuotaRoot(folder).Wait()
		return err
	})
	if err != nil {
		return nil, err
	}
	const unit = 1024 // of STORAGE (RFC 9208 section 5.1)
	var nearest *Quota
	for _, root := range data {
		r, found := root.Resources[imap.QuotaResourceStorage]
		if !found || r.Limit <= 0 || r.Usage < 0 || r.Limit > maxQuota || r.Usage > maxQuota {
			continue
		}
		q := Quota{Used: r.Usage * unit, Limit: r.Limit * unit}
		if nearest == nil || q.Limit-q.Used < nearest.Limit-nearest.Used {
			nearest = &q
		}
	}
	return nearest, nil
}

// maxQuota is the largest number of units that is taken for one; it is a billion gigabytes.
const maxQuota = 1 << 50

// SizeLimit returns the octets of the largest message that the server says it takes (RFC 1870 section 4), and 0 where it says
// of none.
func (s *SMTP) SizeLimit(ctx context.Context) (int64, error) {
	if err := s.acquire(ctx); err != nil {
		return 0, err
	}
	defer s.release()
	session, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	limit, _ := session.client.MaxMessageSize()
	return int64(limit), nil
}
