package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime/spool"
)

// Bounds on what is under way between the server and the index, so that memory does not grow with the mailbox. There is room
// for more than one batch: while one is brought to the disk, the next arrives and is judged.
const (
	maxUnderWay       = 512             // messages
	maxUnderWayOctets = 64 << 20        // octets in memory
	spoolMemory       = 1 << 20         // of one message; the rest is in a file
	batchMessages     = 256             // of one transaction
	batchOctets       = 16 << 20        // of one transaction
	batchTime         = time.Second / 4 // how long what is done may wait for a transaction
)

// pipeline takes messages from the server to the index: one goroutine receives, several judge, one keeps, in the order of
// the UIDs.
type pipeline struct {
	*fetcher
	folder   index.Folder
	infos    []mailbox.Info
	progress Progress

	room    *room
	jobs    chan *arrival
	judged  chan *arrival
	current *arrival // that is being received
	next    int      // number of the next arrival

	// met are, by address, the first who signed as somebody whom nobody knew, with all that was kept before.
	met map[string]*x509.Certificate
}

// arrival is a message on its way.
type arrival struct {
	number int
	info   mailbox.Info
	octets *spool.Spool
	err    error // why it did not arrive

	skip     bool // there is nothing to keep of it: it is gone
	fleeting bool // its line is told, and it is tried again the next time
	line     ListLine
	message  index.Message
	collect  []certstore.Correspondent
	alerts   []WatchAlert
	first    []contact
	fatal    error // what ends fetching
}

func (f *fetcher) newPipeline(folder index.Folder, infos []mailbox.Info) *pipeline {
	p := &pipeline{
		fetcher: f, folder: folder, infos: infos, room: newRoom(), jobs: make(chan *arrival, maxUnderWay), judged: make(chan *arrival, maxUnderWay),
		met:      map[string]*x509.Certificate{},
		progress: Progress{What: folder.Name, Total: len(infos)},
	}
	for _, i := range infos {
		p.progress.AllOctets += i.Size
	}
	return p
}

var errFetchEnds = errors.New("fetching ends")

func (p *pipeline) run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	// A receiver that waits for room is woken when all ends.
	defer context.AfterFunc(inner, p.room.close)()

	received := make(chan error, 1)
	go func() {
		defer close(p.jobs)
		received <- p.store.FetchAll(inner, p.folder.Name, p.infos, p)
	}()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for a := range p.jobs {
				p.judgeArrival(inner, a)
				p.judged <- a
			}
		})
	}
	go func() {
		workers.Wait()
		close(p.judged)
	}()
	err := p.keepAll(ctx, stop)
	fetchErr := <-received
	if p.current != nil {
		_ = p.current.octets.Close() // half of a message
	}
	switch {
	case ctx.Err() != nil:
		return failed("", stoppedError{p.progress.Done, p.progress.Total, "here", ctx.Err()}, "the rest comes with the next `sealmail fetch`")
	case err != nil:
		return err
	case fetchErr != nil:
		return explainServer(fetchErr)
	}
	return nil
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

// Message is for mailbox.Receiver.
func (p *pipeline) Message(info mailbox.Info) (io.Writer, error) {
	if !p.room.take(weight(info)) {
		return nil, errFetchEnds
	}
	o := p.client.spoolOptions()
	o.Memory = spoolMemory
	p.current = &arrival{info: info, octets: spool.New(o)}
	return p.current.octets, nil
}

// Done is for mailbox.Receiver.
func (p *pipeline) Done(info mailbox.Info, err error) error {
	a := p.current
	p.current = nil
	if a == nil { // it could not even be begun
		if !p.room.take(weight(info)) {
			return errFetchEnds
		}
		a = &arrival{info: info, octets: spool.New(p.client.spoolOptions())}
	}
	a.number, a.err = p.next, err
	p.next++
	p.jobs <- a // which has room for all that are under way
	return nil
}

// judgeArrival judges one message. What is wrong with the message alone is in its line.
func (p *pipeline) judgeArrival(ctx context.Context, a *arrival) {
	a.line = ListLine{Account: p.account.Name, Folder: p.folder.Name, UID: uint32(a.info.UID), Size: a.info.Size, Flags: orNone(a.info.Flags)}
	var header MessageReport
	var text index.Text
	var kept indexEvidence
	attachments := false
	var tooLarge *mailbox.TooLargeError
	switch {
	case errors.Is(a.err, mailbox.ErrNotFound):
		a.skip = true // deleted by another client meanwhile
		return
	case a.err != nil:
		a.line.Error = orNull(a.err.Error())
		a.fleeting = !errors.As(a.err, &tooLarge)
	default:
		a.line.Size = a.octets.Size()
		r, err := p.judge.judge(ctx, fmt.Sprintf("message %d", a.info.UID), a.octets)
		switch {
		case isMessageFault(err):
			a.line.Error = orNull(err.Error())
		case err != nil:
			a.fatal = err // the vault, the disk, an interruption: it concerns every message
			return
		default:
			header = r.header()
			r.fill(&a.line, header, p.judge.parsed)
			kept = indexEvidence{Evidence: r.evidence, Proof: p.proofs.keep(r, p.judge.parsed)}
			a.collect = p.judge.correspondents(r, "came with signed mail to "+p.account.Name, p.shown != nil && !r.changed())
			if p.shown != nil {
				a.first = r.first
				if a.alerts, err = p.shown(ctx, r, a.line); err != nil {
					a.fatal = errors.Join(err, r.Close())
					return
				}
			}
			for i := range r.message.Parts {
				attachments = attachments || r.message.Parts[i].Attachment
			}
			text, err = r.searchable()
			if a.fatal = errors.Join(err, r.Close()); a.fatal != nil {
				return
			}
		}
	}
	if a.message, a.fatal = indexed(a.info, a.line, header); a.fatal != nil {
		return
	}
	a.message.Text, a.message.Attachments = text, attachments
	if a.err == nil {
		a.message.Octets, a.message.Size = a.octets.Section(), a.octets.Size()
	}
	if kept.some() {
		a.message.Evidence, a.fatal = json.Marshal(kept)
	}
}

// keepAll keeps what was judged, in the order in which it arrived. After an error it calls stop, and what is still under way
// is given up.
func (p *pipeline) keepAll(ctx context.Context, stop func()) (err error) {
	waiting := map[int]*arrival{} // judged before its turn
	var batch []*arrival
	defer func() {
		stop()
		p.room.close()
		for a := range p.judged {
			p.drop(a)
		}
		for _, a := range waiting {
			p.drop(a)
		}
		for _, a := range batch {
			p.drop(a)
		}
	}()
	timer := time.NewTimer(batchTime)
	defer timer.Stop()
	turn, octets := 0, int64(0)
	flush := func() error {
		err := p.keepBatch(ctx, batch)
		for _, a := range batch {
			p.drop(a)
		}
		batch, octets = batch[:0], 0
		return err
	}
	for open := true; open; {
		late := false
		select {
		case <-timer.C:
			late = true
			timer.Reset(batchTime)
		case a, ok := <-p.judged:
			if open = ok; !ok {
				break
			}
			waiting[a.number] = a
			for ; waiting[turn] != nil; turn++ {
				a := waiting[turn]
				delete(waiting, turn)
				batch = append(batch, a)
				octets += a.octets.Size() + a.message.Text.Size() // which compressed mail has more of than octets
				if a.fatal != nil {
					return errors.Join(a.fatal, flush())
				}
			}
		}
		if len(batch) > 0 && (late || !open || len(batch) >= batchMessages || octets >= batchOctets) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pipeline) drop(a *arrival) {
	_ = a.octets.Close()
	p.room.give(weight(a.info))
}

// meet looks once more at signers of a message who were taken for new: somebody else may have been so before them, in a message
// that came before and was judged at the same time. Certificates are those that are yet to be kept.
func (p *pipeline) meet(ctx context.Context, a *arrival, certificates *[]certstore.Correspondent) error {
	for _, c := range a.first {
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
		a.alerts = append(a.alerts, p.changed(a.line, WarningReport{changeCode(known), changeWords(c.from, "signs", c.signer, known)}))
		for i := range a.collect {
			a.collect[i].Untold = true
		}
	}
	return nil
}

// keepBatch keeps messages: first what they were judged by, and whom one can write to now, then the messages. An
// interruption does not lose what is done already. Then their lines are told.
func (p *pipeline) keepBatch(ctx context.Context, batch []*arrival) error {
	ctx = context.WithoutCancel(ctx)
	var messages []index.Message
	var certificates []certstore.Correspondent
	for _, a := range batch {
		if !a.skip && !a.fleeting && a.fatal == nil {
			if err := p.meet(ctx, a, &certificates); err != nil {
				return err
			}
			messages = append(messages, a.message)
			certificates = append(certificates, a.collect...)
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
		if a.fatal != nil {
			continue
		}
		p.progress.Done++
		p.progress.Octets += a.octets.Size()
		// Another process may have been faster: then it has told the line.
		if _, isNew := slices.BinarySearch(added, a.info.UID); a.skip || !isNew && !a.fleeting {
			continue
		}
		p.strict.add(a.line)
		if err := p.each(a.line); err != nil {
			return err
		}
		for _, alert := range a.alerts {
			if err := p.alert(alert); err != nil {
				return err
			}
		}
	}
	p.client.tell(p.progress)
	return nil
}
