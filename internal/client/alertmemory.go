package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/safeio"
)

// alertMemory is what was said already, and is not to be said again, by the next run neither. It is in a file that can be
// lost: then it is said once more.
type alertMemory struct {
	disk safeio.Disk
	path string

	mu    sync.Mutex
	state struct {
		Said    map[string]time.Time `json:"said"`
		Checked time.Time            `json:"checked,omitzero"` // certificates
		Next    string               `json:"next,omitempty"`   // that is asked about first
	}
}

const (
	maxSaid       = 10_000
	maxMemorySize = 4 << 20
)

func (c *Client) openAlertMemory(a config.Account) *alertMemory {
	m := &alertMemory{disk: c.o.Disk, path: c.o.Home.Alerts(a.Name)}
	if info, err := os.Stat(m.path); err == nil && info.Size() <= maxMemorySize {
		if data, err := os.ReadFile(m.path); err == nil {
			_ = json.Unmarshal(data, &m.state) // what is damaged is begun anew
		}
	}
	if m.state.Said == nil {
		m.state.Said = map[string]time.Time{}
	}
	return m
}

// lastCheck tells when certificates were looked at last, and which one is asked about first the next time.
func (m *alertMemory) lastCheck() (at time.Time, next string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Checked, m.state.Next
}

func (m *alertMemory) setCheck(at time.Time, next string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Checked, m.state.Next = at.UTC(), next
	return m.write()
}

func (m *alertMemory) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.state.Said[key]
	return ok
}

// add notes that something was said. Where there is no room, what was said first is forgotten.
func (m *alertMemory) add(key string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.state.Said) >= maxSaid {
		oldest := ""
		for k, t := range m.state.Said {
			if oldest == "" || t.Before(m.state.Said[oldest]) {
				oldest = k
			}
		}
		delete(m.state.Said, oldest)
	}
	m.state.Said[key] = at.UTC()
	return m.write()
}

// write keeps it, for who holds mu.
func (m *alertMemory) write() error {
	data, err := json.Marshal(m.state)
	if err == nil {
		err = m.disk.MkdirAll(filepath.Dir(m.path), 0o700)
	}
	if err == nil {
		err = m.disk.WriteFile(m.path, data, 0o600)
	}
	if err != nil {
		return failed("alerts", err, "make room on the disk")
	}
	return nil
}
