package term

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

func TestPrintVaultStatus(t *testing.T) {
	folder, weak, advice := "/keys\x1b[2J", "it is weak", "do this"
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("", 3600))
	for _, test := range []struct {
		name   string
		status client.VaultStatus
		want   []string
	}{
		{"with everything", client.VaultStatus{
			Path: "/v", Protected: true, KDF: &client.VaultKDF{Name: "scrypt", N: 1024, R: 8, P: 1}, Device: &client.VaultDevice{Place: "folder", Folder: &folder},
			Weak: &weak, Advice: &advice, Entries: map[string]int{"password": 1, "key": 2}, Rotated: &at, Agent: &client.AgentStatus{Until: at}, Keyring: true,
		}, []string{"yes, stretched by scrypt (N 1024, r 8, p 1)", "a secret in /keys", "WEAK        it is weak", "            do this", "2 key, 1 password",
			"rotated     2026-11-21T09:00:00Z", "holds the key until 2026-11-21T09:00:00Z", "is asked for the passphrase"}},
		{"with nothing", client.VaultStatus{Path: "/v"}, []string{"passphrase  none", "no secret outside the file", "entries     none", "not written down", "none runs"}},
		{"in the keyring", client.VaultStatus{Device: &client.VaultDevice{Place: "keyring"}}, []string{"in the operating system's keyring"}},
		{"beside", client.VaultStatus{Device: &client.VaultDevice{Place: "beside", Folder: &folder}}, []string{"beside the vault"}},
	} {
		var out bytes.Buffer
		if err := PrintVaultStatus(&out, &test.status); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", test.name, want, &out)
			}
		}
		if strings.Contains(out.String(), "\x1b") || test.status.Weak == nil && strings.Contains(out.String(), "WEAK") {
			t.Errorf("%s:\n%q", test.name, &out)
		}
	}
}
