package peertest_test

import (
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

func TestX(t *testing.T) {
	s := peertest.MailServers(t)
	t.Log(s)
}
