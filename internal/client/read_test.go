package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/entity"
)

// TestReadRange reads several messages, one of which is beyond all limits: it has its error, and the others are read.
func TestReadRange(t *testing.T) {
	w := newWorld(t)
	o := w.account("bob", &folder{validity: 1, messages: []string{mail("one", ""), mail("two", "X: "+strings.Repeat("x", 2<<20)+"\r\n"), mail("three", "")}})
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var subjects []string
	err = c.Read(t.Context(), client.ReadParams{ID: "1:3", Folder: "INBOX"}, func(r *client.Report) error {
		subjects = append(subjects, *r.Message.Subject)
		return nil
	})
	if !slices.Equal(subjects, []string{"one", "three"}) {
		t.Errorf("read %q", subjects)
	}
	if !errors.Is(err, entity.ErrHeaderTooLarge) || client.KindOf(err) != client.Failed || !strings.Contains(err.Error(), "message 2 in INBOX") {
		t.Errorf("got %v", err)
	}
}
