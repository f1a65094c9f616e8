package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
)

// archives looks at the archives that this home knows, and at the certificate to sign them with. No authority is asked, and no
// message is opened: that is for `archive verify`.
func (d *doctor) archives(ctx context.Context) {
	memories, err := d.client.memories()
	if err != nil {
		d.bad("archive", err, "")
		return
	}
	for _, m := range memories {
		d.archive(ctx, m, memories)
	}
	if len(memories) > 0 {
		d.archiveSigner(ctx)
	}
}

// archive looks at one of them.
func (d *doctor) archive(ctx context.Context, m *archiveMemory, all []*archiveMemory) {
	const check = "archive"
	c := d.client
	if _, err := os.Stat(m.Path); errors.Is(err, fs.ErrNotExist) {
		d.say(check, FindingWarning, m.Path+" is not there",
			"bring back the disk that it is on; if it was given up, remove "+c.archiveMemoryFile(m.ID))
		return
	}
	a, dir, err := c.openArchive(ctx, ArchivePlace{Dir: m.Path})
	if err != nil {
		d.bad(check, err, "")
		return
	}
	defer a.Close() // it was only read
	if a.ID() != m.ID {
		if !slices.ContainsFunc(all, func(other *archiveMemory) bool { return other.ID == a.ID() && other.Path == m.Path }) {
			d.say(check, FindingWarning, m.Path+" has another archive than it had", "`sealmail archive verify "+m.Path+"` says more")
		}
		return
	}
	if err := a.CheckWitness(ctx, m.Head); err != nil {
		d.bad(check, explainArchive(dir, err), "")
		return
	}
	detail := fmt.Sprintf("%s: %d message(s)", m.Path, a.Messages())
	head, _ := a.Head()
	if n := len(head.Unstamped); n > 0 {
		d.say(check, FindingWarning, fmt.Sprintf("%s; %d segment(s) have no timestamp yet, and prove no time", detail, n), "`sealmail archive pull` asks for it again")
	}
	judge, err := c.ArchiveJudge(nil, revocation.Evidence{}, time.Time{})
	if err != nil {
		d.bad(check, err, "")
		return
	}
	var evidence ArchiveRenewResult
	switch err := evidence.look(ctx, a, judge); {
	case err != nil:
		d.bad(check, explainArchive(dir, err), "`sealmail archive verify "+m.Path+"` says more")
	case evidence.Due == nil:
		if len(head.Unstamped) == 0 { // there is nothing in it
			d.say(check, FindingGood, detail, "")
		}
	case !d.now.Before(evidence.Due.Add(-renewalMargin)):
		d.say(check, FindingWarning, fmt.Sprintf("%s; its evidence is to be renewed before %s", detail, evidence.Due.UTC().Format(time.DateOnly)),
			"`sealmail archive renew --archive "+m.Path+"`")
	case len(head.Unstamped) == 0:
		d.say(check, FindingGood, detail+", evidence good until "+evidence.Due.UTC().Format(time.DateOnly), "")
	}
}

// archiveSigner looks at the archiving certificate. Who only checks archives has none.
func (d *doctor) archiveSigner(ctx context.Context) {
	const check = "archive signing"
	identities, _, err := d.client.certificates().Identities()
	if err != nil || !slices.ContainsFunc(identities, func(i *certstore.Identity) bool { return certstore.AllowsUse(i.Certificate(), certstore.SignArchive) }) {
		return // an error was said already
	}
	signer, err := d.client.archiveSigner(ctx, "", false)
	if err != nil {
		d.bad(check, err, "")
		return
	}
	cert := signer.Chain[0]
	detail := fmt.Sprintf("certificate %.16s… of %s, valid to %s", certstore.Fingerprint(cert), certstore.Name(cert), cert.NotAfter.UTC().Format(time.DateOnly))
	if soon := expiresSoon(cert.NotAfter, d.now); soon != "" {
		d.say(check, FindingWarning, detail+"; it "+soon, "get the next one: `sealmail ca issue --purpose archive` makes one, `sealmail cert import` takes it in")
		return
	}
	d.say(check, FindingGood, detail, "")
}
