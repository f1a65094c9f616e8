package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/agent"
)

// VaultStatus says how the vault is protected, and who could open it now.
type VaultStatus struct {
	Path      string         `json:"path"`
	Protected bool           `json:"protected"` // by a passphrase
	KDF       *VaultKDF      `json:"kdf"`       // null without a passphrase
	Device    *VaultDevice   `json:"device"`    // null: there is no secret outside the file
	Weak      *string        `json:"weak"`      // what is weak about the protection; null: nothing
	Advice    *string        `json:"advice"`    // what to do about it
	Entries   map[string]int `json:"entries"`   // by kind
	Rotated   *time.Time     `json:"rotated"`   // when root, passphrase and device secret were last replaced; null: unknown
	Agent     *AgentStatus   `json:"agent"`     // null: none runs
	Keyring   bool           `json:"keyring"`   // the keyring is asked for the passphrase
}

// VaultKDF is how a key is derived from the passphrase.
type VaultKDF struct {
	Name string `json:"name"` // scrypt
	N    int    `json:"n"`
	R    int    `json:"r"`
	P    int    `json:"p"`
}

// VaultDevice is where the device secret is.
type VaultDevice struct {
	Place  string  `json:"place"`  // beside, folder, keyring
	Folder *string `json:"folder"` // null for the keyring
}

// AgentStatus is a running agent.
type AgentStatus struct {
	Until time.Time `json:"until"`
}

// VaultStatus reads the vault's file and asks the agent. It needs no passphrase.
func (c *Client) VaultStatus(ctx context.Context) (*VaultStatus, error) {
	v, err := c.loadVault()
	if err != nil {
		return nil, err
	}
	defer c.sayWarnings(v)
	return c.vaultStatus(ctx, v)
}

func (c *Client) vaultStatus(ctx context.Context, v *vault.Vault) (*VaultStatus, error) {
	info, err := v.Info()
	if err != nil {
		return nil, failed("vault", err, "")
	}
	entries, err := v.Entries()
	if err != nil {
		return nil, failed("vault", err, "")
	}
	s := &VaultStatus{Path: c.o.Home.Vault(), Protected: info.Protected, Entries: map[string]int{}, Keyring: c.config.Vault.Keyring}
	for _, e := range entries {
		s.Entries[e.Kind]++
	}
	if info.Protected {
		s.KDF = &VaultKDF{Name: "scrypt", N: info.Scrypt.N, R: info.Scrypt.R, P: info.Scrypt.P}
	}
	if !info.Made.IsZero() {
		s.Rotated = &info.Made
	}
	s.judgeDevice(info)
	if s.Device != nil && s.Device.Folder != nil && !info.Beside {
		if _, err := os.Stat(cmp.Or(c.setting().Folder, *s.Device.Folder)); err != nil {
			c.o.Say(fmt.Sprintf("warning: the folder of the device secret is not there (%v): without it the vault stays closed", err))
		}
	}
	if !info.Protected {
		s.weak("it has no passphrase: who reads the disk reads the keys", "`sealmail vault passwd` gives it one")
	}
	running, err := c.queryAgent(ctx)
	switch {
	case err == nil && running.ID == info.RootID:
		s.Agent = &AgentStatus{Until: running.Until.UTC()}
	case err != nil && !errors.Is(err, agent.ErrNone) && !errors.Is(err, agent.ErrUnavailable):
		c.o.Say("warning: " + err.Error())
	}
	return s, nil
}

func (c *Client) queryAgent(ctx context.Context) (agent.Status, error) {
	socket, err := c.agentSocket()
	if err != nil {
		return agent.Status{}, err
	}
	return agent.Query(ctx, socket)
}

// judgeDevice says where the device secret is, and whether a copy that is easily made has both it and the vault.
func (s *VaultStatus) judgeDevice(info vault.Info) {
	const elsewhere = "`sealmail vault passwd --device keyring`, or --device /FOLDER on another disk"
	folder := info.Device.Folder
	if info.Beside {
		folder = filepath.Dir(s.Path)
		s.weak("a restored backup has put the device secret beside the vault: who copies the folder has both", elsewhere)
		s.Device = &VaultDevice{Place: string(vault.DeviceBeside), Folder: &folder}
		return
	}
	switch info.Device.Kind {
	case vault.DeviceKeyring:
		s.Device = &VaultDevice{Place: "keyring"}
		return
	case vault.DeviceFolder:
		if sameFileSystem(filepath.Dir(s.Path), folder) {
			s.weak("the device secret is on the same file system as the vault: a snapshot or a backup of it may have both", elsewhere)
		}
	case vault.DeviceBeside:
		folder = filepath.Dir(s.Path)
		s.weak("the device secret lies beside the vault: who copies the folder has both", elsewhere)
	default:
		s.weak("it has no device secret: an old copy of the file together with the passphrase still opens it", "`sealmail vault passwd` makes one")
		return
	}
	s.Device = &VaultDevice{Place: string(info.Device.Kind), Folder: &folder}
}

func (s *VaultStatus) weak(what, advice string) { s.Weak, s.Advice = &what, &advice }

// sameFileSystem reports whether two folders are known to be on one file system.
func sameFileSystem(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	if err != nil {
		return false
	}
	return sameDevice(a, first, b, second)
}
