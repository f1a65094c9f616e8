package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// Bounds on one transaction of the index.
const (
	batchMessages = 256
	batchOctets   = 16 << 20
)

// pipeline takes messages from the server to the index, in the order of the UIDs.
type pipeline struct {
	*fetcher
	folder   index.Folder
	infos    []mailbox.Info
	progress Progress

	batch  []*arrival[fetched] // to be kept together
	octets int64               // of the batch

	// met are, by address, the first who signed as somebody whom nobody knew, with all that was kept before.
	met map[string]*x509.Certificate
}

// fetched is what is found out about a message on its way to the index.
type fetched struct {
	entry
	collect []certstore.Correspondent
	alerts  []WatchAlert
	first   []contact
}

func (f *fetcher) newPipeline(folder index.Folder, infos []mailbox.Info) *pipeline {
	p := &pipeline{
		fetcher: f, folder: folder, infos: infos, met: map[string]*x509.Certificate{}, progress: Progress{What: folder.Name, Total: len(infos)},
	}
	for _, i := range infos {
		p.progress.AllOctets += i.Size
	}
	return p
}

func (p *pipeline) run(ctx context.Context) error {
	err := newArrivals(p.client, p.store, p.folder.Name, p.infos, p).run(ctx)
	if ctx.Err() != nil {
		return failed("", stoppedError{p.progress.Done, p.progress.Total, "here", ctx.Err()}, "the rest comes with the next `sealmail fetch`")
	}
	return err
}

// stoppedError says how far something was when it was interrupted, or failed.
type stoppedError struct {
	done, total int
	word        string // for those that are done
	err         error
}

func (e stoppedError) Error() string {
	words := fmt.Sprintf("stopped: %d of %d messages are %s", e.done, e.total, e.word)
	if !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded) {
		words += ": " + e.err.Error()
	}
	return words
}
func (e stoppedError) Unwrap() error { return e.err }

// look is for arrivalsEnd.
func (p *pipeline) look(ctx context.Context, a *arrival[fetched]) (err error) {
	var kept indexEvidence
	f := &a.found
	f.entry, err = enter(ctx, p.judge, p.account.Name, p.folder.Name, a, func(r *judged, line ListLine) (err error) {
		kept = indexEvidence{Evidence: r.evidence, Proof: p.proofs.keep(r, p.judge.parsed)}
		f.collect = p.judge.correspondents(r, "came with signed mail to "+p.account.Name, p.shown != nil && !r.changed())
		if p.shown != nil {
			f.first = r.first
			f.alerts, err = p.shown(ctx, r, line)
		}
		return err
	})
	if err == nil && kept.some() {
		f.message.Evidence, err = json.Marshal(kept)
	}
	return err
}

// take is for arrivalsEnd.
func (p *pipeline) take(ctx context.Context, a *arrival[fetched]) error {
	p.batch = append(p.batch, a)
	p.octets += a.octets.Size() + a.found.message.Text.Size() // which compressed mail has more of than octets
	if len(p.batch) >= batchMessages || p.octets >= batchOctets {
		return p.flush(ctx)
	}
	return nil
}

// flush is for arrivalsEnd.
func (p *pipeline) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	err := p.keepBatch(ctx, p.batch)
	for _, a := range p.batch {
		a.close()
	}
	p.batch, p.octets = p.batch[:0], 0
	return err
}

// meet looks once more at signers of a message who were taken for new: somebody else may have been so before them, in a message
// that came before and was judged at the same time. Certificates are those that are yet to be kept.
func (p *pipeline) meet(ctx context.Context, a *arrival[fetched], certificates *[]certstore.Correspondent) error {
	for _, c := range a.found.first {
		address := strings.ToLower(c.from)
		if before := p.met[address]; before == nil || before.Equal(c.signer) {
			p.met[address] = c.signer
			continue
		}
		if err := p.judge.keep(ctx, *certificates); err != nil {
			return err
		}
		*certificates = nil
		known, err := p.judge.store.AcquaintanceOfSigner(c.from, c.signer, c.message)
		if err != nil {
			return storeError(err)
		}
		if !known.Changed() {
			continue
		}
		a.found.alerts = append(a.found.alerts, p.changed(a.found.line, WarningReport{changeCode(known), changeWords(c.from, "signs", c.signer, known)}))
		for i := range a.found.collect {
			a.found.collect[i].Untold = true
		}
	}
	return nil
}

// keepBatch keeps messages: first what they were judged by, and whom one can write to now, then the messages. An
// interruption does not lose what is done already. Then their lines are told.
func (p *pipeline) keepBatch(ctx context.Context, batch []*arrival[fetched]) error {
	ctx = context.WithoutCancel(ctx)
	var messages []index.Message
	var certificates []certstore.Correspondent
	for _, a := range batch {
		if !a.found.skip && !a.found.fleeting {
			if err := p.meet(ctx, a, &certificates); err != nil {
				return err
			}
			messages = append(messages, a.found.message)
			certificates = append(certificates, a.found.collect...)
		}
	}
	if err := p.proofs.write(); err != nil {
		return err
	}
	if err := p.judge.keep(ctx, certificates); err != nil {
		return err
	}
	added, err := p.index.Add(ctx, p.folder, messages)
	if err != nil {
		return explainIndex(err)
	}
	for _, a := range batch {
		p.progress.Done++
		p.progress.Octets += a.octets.Size()
		// Another process may have been faster: then it has told the line.
		if _, isNew := slices.BinarySearch(added, a.info.UID); a.found.skip || !isNew && !a.found.fleeting {
			continue
		}
		p.strict.add(a.found.line)
		if err := p.each(a.found.line); err != nil {
			return err
		}
		for _, alert := range a.found.alerts {
			if err := p.alert(alert); err != nil {
				return err
			}
		}
	}
	p.client.tell(p.progress)
	return nil
}
