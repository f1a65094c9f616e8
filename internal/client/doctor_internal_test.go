package client

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
)

// toldStore is a store that tells about itself; the rest of it is not there.
type toldStore struct {
	mailbox.Store
	quota    *mailbox.Quota
	supports map[string]bool
	err      error
}

func (s toldStore) Quota(context.Context, string) (*mailbox.Quota, error) { return s.quota, s.err }

func (s toldStore) Supports(_ context.Context, capability string) (bool, error) {
	return s.supports[capability], s.err
}

// TestDoctorOfStores: what a server says of itself, in words.
func TestDoctorOfStores(t *testing.T) {
	all := map[string]bool{"UIDPLUS": true, "MOVE": true, "IDLE": true, "CONDSTORE": true, "SPECIAL-USE": true}
	hint := "delete mail at the server, or ask for more space"
	for _, test := range []struct {
		name    string
		store   toldStore
		examine func(*doctor, context.Context, mailbox.Store)
		want    []Finding
	}{
		{"no quota", toldStore{}, (*doctor).quota, nil},
		{"room", toldStore{quota: &mailbox.Quota{Used: 1 << 20, Limit: 10 << 20}}, (*doctor).quota, []Finding{{"quota", FindingGood, "1 of 10 MiB", nil}}},
		{"nearly full", toldStore{quota: &mailbox.Quota{Used: 95 << 20, Limit: 100 << 20}}, (*doctor).quota, []Finding{{"quota", FindingWarning, "the mailbox is nearly full: 95 of 100 MiB", &hint}}},
		{"full", toldStore{quota: &mailbox.Quota{Used: 100 << 20, Limit: 100 << 20}}, (*doctor).quota, []Finding{{"quota", FindingBad, "the mailbox is full: 100 of 100 MiB; mail to you is refused", &hint}}},
		{"quota that cannot be had", toldStore{err: errors.New("no")}, (*doctor).quota, []Finding{{"quota", FindingBad, "no", nil}}},
		{"all features", toldStore{supports: all}, (*doctor).features, []Finding{{"imap features", FindingGood, "all that matter", nil}}},
		{"features that cannot be had", toldStore{err: errors.New("no")}, (*doctor).features, []Finding{{"imap features", FindingBad, "no", nil}}},
		{"without IDLE", toldStore{supports: map[string]bool{"UIDPLUS": true, "MOVE": true, "CONDSTORE": true, "SPECIAL-USE": true}}, (*doctor).features,
			[]Finding{{"imap features", FindingGood, "missing: IDLE (news is asked for, again and again)", nil}}},
	} {
		var found []Finding
		d := &doctor{yield: func(f Finding) bool { found = append(found, f); return true }}
		test.examine(d, t.Context(), test.store)
		if diff := cmp.Diff(test.want, found); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	var found []Finding
	d := &doctor{yield: func(f Finding) bool { found = append(found, f); return true }}
	d.features(t.Context(), toldStore{})
	if len(found) != 1 || found[0].Status != FindingWarning || found[0].Hint == nil {
		t.Errorf("without anything: %+v", found)
	}
}
