package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Before a root is replaced, the device secrets of both roots are written into a file beside the vault. Whoever writes
// next, after a kill or not, removes those that the vault as it then is has no use for. So none is lost while it is
// needed, and none stays.

const (
	leftoverSuffix = ".leftover"
	maxLeftovers   = 64
	maxLeftoverLen = 1 << 20 // octets of the file
)

type leftovers struct {
	Secrets []secret `json:"secrets"`
}

func parseLeftovers(data []byte) ([]secret, error) {
	var l leftovers
	if err := decodeStrictly(data, &l); err != nil {
		return nil, err
	}
	if len(l.Secrets) > maxLeftovers {
		return nil, fmt.Errorf("%w: more than %d device secrets", ErrDamaged, maxLeftovers)
	}
	for _, s := range l.Secrets {
		if !validRootID(s.Root) || s.Device == nil {
			return nil, fmt.Errorf("%w: device secret without a root", ErrDamaged)
		}
		if err := s.Device.validate(); err != nil {
			return nil, err
		}
	}
	return l.Secrets, nil
}

func (v *Vault) leftoverFile() string { return v.path + leftoverSuffix }

// readLeftovers lists the device secrets that may be superfluous.
func (v *Vault) readLeftovers() ([]secret, error) {
	p, err := readPrivate(v.leftoverFile(), maxLeftoverLen)
	v.warn(p.warning)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	secrets, err := parseLeftovers(p.data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.leftoverFile(), err)
	}
	return secrets, nil
}

func (v *Vault) writeLeftovers(secrets []secret) error {
	if len(secrets) > maxLeftovers {
		return fmt.Errorf("%w: more than %d of them cannot be removed", ErrLeftover, maxLeftovers)
	}
	data, err := json.Marshal(leftovers{secrets})
	if err != nil {
		return err
	}
	return v.setting.Disk.WriteFile(v.leftoverFile(), append(data, '\n'), 0o600)
}

// clearLeftovers removes the device secrets that are not the present root's. It is called after the vault was durably
// written: a root that a loss of power could bring back keeps its secret. The error wraps [ErrLeftover].
func (v *Vault) clearLeftovers() error {
	listed, err := v.readLeftovers()
	if err != nil || len(listed) == 0 {
		return err
	}
	var rest []secret
	var problems []error
	now := v.file.Root
	for _, s := range listed {
		if now.Device != nil && s.name() == (secret{now.ID, now.Device}).name() {
			continue
		}
		if err := v.deleteSecret(s); err != nil {
			rest = append(rest, s)
			problems = append(problems, err)
		}
	}
	switch {
	case len(rest) == 0:
		err = v.setting.Disk.Remove(v.leftoverFile())
	case len(rest) < len(listed):
		err = v.writeLeftovers(rest)
	}
	if err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrLeftover, errors.Join(problems...))
	}
	return nil
}

// install gives the vault a root: it stores the new device secret, then the file, then removes the old secret. After a kill
// at any instant the file on disk is the old one or the new one, and its device secret is there.
func (v *Vault) install(f *file, key []byte, p Protection) error {
	if v.setting.Deriving != nil && !p.Unprotected {
		v.setting.Deriving()
	}
	r, device, err := newRoot(key, p)
	if err != nil {
		return err
	}
	defer clear(device)
	listed, err := v.readLeftovers()
	if err != nil {
		return err
	}
	fresh := secret{Root: r.ID, Device: r.Device}
	listed = append(listed, fresh)
	if old := f.Root; old.Device != nil && !slices.ContainsFunc(listed, func(s secret) bool { return s.Root == old.ID }) {
		listed = append(listed, secret{Root: old.ID, Device: old.Device})
	}
	// The folder first: from then on one that is not there is out of reach, and not one that was never made.
	if r.Device.Kind == DeviceFolder {
		if err := v.setting.Disk.MkdirAll(r.Device.Folder, 0o700); err != nil {
			return fmt.Errorf("folder for the vault's device secret: %w", err)
		}
	}
	if err := v.writeLeftovers(listed); err != nil {
		return err
	}
	if err := v.putSecret(fresh, device); err != nil {
		return err
	}
	f.Version, f.Root = formatVersion, r
	if err := v.write(f); err != nil {
		return err
	}
	clear(v.root)
	v.file, v.root, v.info = f, key, nil // what is on disk is looked at when it is next asked for
	return v.clearLeftovers()
}
