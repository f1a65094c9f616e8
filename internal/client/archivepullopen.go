package client

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/sealmail/sealmail/mailbox/archive"
)

// open opens everything, the archive last: where something is missing, nothing was made.
func (u *archivePuller) open(ctx context.Context) (err error) {
	c := u.client
	signer, err := c.archiveSigner(ctx, u.p.Signer, true)
	if err != nil {
		return err
	}
	w := archive.WriteOptions{Signer: signer, Unstamped: u.unstamped}
	if w.Trusted, err = c.trustedHead(); err != nil {
		return err
	}
	if !u.p.NoTimestamp {
		stamps, err := c.ArchiveStamper(u.p.Stamp)
		if err != nil {
			return err
		}
		w.Stamp, w.Evidence, w.Proves = unlessRefused(u, stamps.Stamp), unlessRefused(u, stamps.Evidence), stamps.proves
	}
	if u.judge, err = c.newArchiveJudge(VerifyParams{Revocation: string(u.account.Revocation), Online: true}); err != nil {
		return err
	}
	recovery, err := c.o.readCertificates(u.p.Recovery)
	if err != nil {
		return err
	}
	if u.store, err = c.dialStore(ctx, u.account); err != nil {
		return err
	}
	if u.folders, err = u.meant(ctx); err != nil {
		return err
	}
	if u.dir = u.p.To; u.dir == "" {
		if u.dir, err = c.archiveDir(""); err != nil {
			return err
		}
	}
	if err := u.openArchive(ctx, signer, recovery); err != nil {
		return err
	}
	if u.writer, err = u.archive.Write(ctx, w); err != nil {
		return explainArchive(u.dir, err)
	}
	if err := u.witness(ctx); err != nil { // nobody else moves the head now
		return err
	}
	if u.catalog, err = c.openCatalog(ctx, u.archive); err != nil {
		return err
	}
	if err := u.catalog.catchUp(ctx); err != nil {
		return explainArchive(u.dir, err)
	}
	return u.stampLate(ctx)
}

// openArchive opens the archive, or makes it.
func (u *archivePuller) openArchive(ctx context.Context, signer archive.Signer, recovery []*x509.Certificate) error {
	o, err := u.client.archiveOptions(u.p.Keys)
	if err != nil {
		return err
	}
	storage := archive.NewFolder(u.client.o.Disk, u.dir)
	u.archive, err = archive.Open(ctx, storage, o)
	if errors.Is(err, archive.ErrNoArchive) {
		u.archive = nil
		if err := archive.Create(ctx, storage, o, signer, recovery); err != nil {
			return explainArchive(u.dir, err)
		}
		u.result.Made = true
		if len(recovery) == 0 {
			u.client.o.Say("note: only this home's vault opens the archive: keep a backup (`sealmail backup`); an archive with recovery certificates is made with --recovery CERT.pem")
		}
		u.archive, err = archive.Open(ctx, storage, o)
	} else if err == nil && len(recovery) > 0 && !sameCertificates(recovery, u.archive.Recovery()) {
		return usage("--recovery", errors.New("this archive was made for other recovery certificates"), "leave out --recovery, or begin another archive")
	}
	if err != nil {
		u.archive = nil
		return explainArchive(u.dir, err)
	}
	u.result.Archive, u.result.Path = u.archive.ID(), u.dir
	return explainArchive(u.dir, u.client.checkMemory(ctx, u.archive))
}

func sameCertificates(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, func(a, b *x509.Certificate) bool { return a.Equal(b) })
}
