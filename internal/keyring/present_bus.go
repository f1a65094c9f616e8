//go:build !(darwin || windows)

package keyring

import (
	"errors"
	"fmt"
	"os"
)

// present looks for the session bus, over which the Secret Service is reached. Where there is none, the library would start
// one, at which nobody would answer.
func present() error {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return nil
	}
	for _, name := range []string{"bus", "dbus-session"} {
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/%s", os.Getuid(), name)); err == nil {
			return nil
		}
	}
	return errors.New("there is no session bus, as on a machine without a desktop (DBUS_SESSION_BUS_ADDRESS is not set)")
}
