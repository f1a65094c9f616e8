package nssroots

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestFind finds files in the documented order, and files alone.
func TestFind(t *testing.T) {
	want := []string{
		"usr/lib/aarch64-linux-gnu/libnssckbi.so",
		"usr/lib/arm-linux-gnueabihf/libnssckbi.so",
		"usr/lib/x86_64-linux-gnu/nss/libnssckbi.so",
		"usr/lib64/nss/libnssckbi.so",
		"usr/lib64/libnssckbi.so",
		"usr/lib/nss/libnssckbi.so",
		"usr/lib/libnssckbi.so",
		"usr/lib/thunderbird/libnssckbi.so",
		"usr/lib64/thunderbird/libnssckbi.so",
		"opt/thunderbird/libnssckbi.so",
		"usr/lib/firefox/libnssckbi.so",
		"opt/firefox/libnssckbi.so",
		"usr/lib/firefox-esr/libnssckbi.so",
	}
	fsys := fstest.MapFS{
		"usr/lib/x86_64-linux-gnu/libnssckbi.so/x": {}, // a folder
		"opt/firefox-esr/libnssckbi.so":            {Mode: fs.ModeNamedPipe},
		"usr/lib/x86_64-linux-gnu/libnss3.so":      {},
		"home/eve/libnssckbi.so":                   {},
	}
	for _, name := range want {
		fsys[name] = &fstest.MapFile{}
	}
	if got := Find(fsys); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestSystem takes the best module, passes over p11-kit, and over nothing else.
func TestSystem(t *testing.T) {
	good := plain(t).build(t).data
	m := plain(t)
	m.soname = "p11-kit-trust.so"
	p11 := m.build(t).data
	const debian, other, thunderbird = "usr/lib/x86_64-linux-gnu/libnssckbi.so", "usr/lib/libnssckbi.so", "opt/thunderbird/libnssckbi.so"
	tests := map[string]struct {
		files map[string][]byte
		name  string
		err   error
	}{
		"nothing there":               {nil, "", ErrNotFound},
		"two modules":                 {map[string][]byte{debian: good, thunderbird: p11}, debian, nil},
		"p11-kit before it":           {map[string][]byte{debian: p11, other: p11, thunderbird: good}, thunderbird, nil},
		"p11-kit alone":               {map[string][]byte{debian: p11, other: p11}, "", ErrP11Kit},
		"a damaged one before it":     {map[string][]byte{debian: good[:len(good)-1], thunderbird: good}, "", ErrMalformed},
		"an empty one before it":      {map[string][]byte{debian: {}, thunderbird: good}, "", ErrNotModule},
		"a damaged one after p11-kit": {map[string][]byte{debian: p11, other: good[:len(good)-1], thunderbird: good}, "", ErrMalformed},
	}
	for about, test := range tests {
		t.Run(about, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, data := range test.files {
				fsys[name] = &fstest.MapFile{Data: data}
			}
			name, roots, err := System(fsys)
			if !errors.Is(err, test.err) || name != test.name || (len(roots) > 0) != (test.err == nil) {
				t.Errorf("%q, %d roots, error %v; want %q, error %v", name, len(roots), err, test.name, test.err)
			}
		})
	}
	t.Run("a file that cannot be read at places", func(t *testing.T) {
		if _, roots, err := System(streams{fstest.MapFS{debian: {Data: good}}}); !errors.Is(err, errors.ErrUnsupported) || roots != nil {
			t.Errorf("%d roots, error %v", len(roots), err)
		}
	})
}

// TestUnreadable does not go on to an older module where one cannot be opened or examined.
func TestUnreadable(t *testing.T) {
	const debian = "usr/lib/x86_64-linux-gnu/libnssckbi.so"
	files := fstest.MapFS{debian: {}, "opt/thunderbird/libnssckbi.so": {Data: plain(t).build(t).data}}
	for _, opens := range []bool{false, true} {
		if _, roots, err := System(unreadable{files, debian, opens}); !errors.Is(err, fs.ErrPermission) || roots != nil {
			t.Errorf("%d roots, error %v", len(roots), err)
		}
	}
}

// unreadable is a file system with a file that cannot be opened, or opens and cannot be examined.
type unreadable struct {
	fstest.MapFS
	name  string
	opens bool
}

func (u unreadable) Open(name string) (fs.File, error) {
	f, err := u.MapFS.Open(name)
	if name != u.name {
		return f, err
	}
	if !u.opens {
		return nil, fs.ErrPermission
	}
	return noStat{f}, err
}

type noStat struct{ fs.File }

func (noStat) Stat() (fs.FileInfo, error) { return nil, fs.ErrPermission }

// streams is a file system whose files can be read from their beginning only.
type streams struct{ fstest.MapFS }

func (s streams) Open(name string) (fs.File, error) {
	f, err := s.MapFS.Open(name)
	return struct{ fs.File }{f}, err
}
