package client_test

import (
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }
