package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// evidenceSet is the data objects that were named, and where their records are.
type evidenceSet struct {
	names    []string
	orphans  []string // records whose file is missing
	named    int      // how many of names were named themselves, and not found in a folder: the first ones
	records  string
	group    bool
	fromHere bool // records lie beside their files
	folders  bool // one was named
	notFiles int  // symbolic links, pipes and the like in folders

	seen map[string]bool // what was found already, where it may be found twice; nil: it may not
}

// set finds the data objects. Who names the record of a file means the file.
func (p EvidenceParams) set() (*evidenceSet, error) {
	s := &evidenceSet{records: p.Records, group: p.Group, fromHere: p.Records == ""}
	if p.Group && p.Records == "" {
		return nil, usage("--group", errors.New("the record of a group has no name"), "name it with --records GROUP.ers")
	}
	if len(p.Paths) > 1 {
		s.seen = make(map[string]bool)
	}
	var folders []string
	for _, path := range p.Paths {
		if name, isRecord := strings.CutSuffix(path, recordSuffix); isRecord && s.fromHere {
			path = name
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			folders = append(folders, path)
		case err == nil && !info.Mode().IsRegular():
			return nil, failed(path, errors.New("it is no regular file"), "name files and folders")
		case err == nil:
			s.add(&s.names, path)
		case errors.Is(err, fs.ErrNotExist) && s.fromHere && exists(path+recordSuffix):
			s.add(&s.orphans, path+recordSuffix)
		default:
			return nil, failed("", err, "name files and folders that can be read")
		}
	}
	s.named, s.folders = len(s.names), len(folders) > 0
	for _, folder := range folders {
		if err := filepath.WalkDir(folder, s.walk); err != nil {
			return nil, failed("", err, "name files and folders that can be read")
		}
	}
	if len(s.names) == 0 && len(s.orphans) == 0 {
		return nil, usage("tsa evidence", errors.New("there are no files"), "name files, or a folder with files in it")
	}
	return s, s.checkNames()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// add puts a file into a list, once: a file that is named may be in a folder that is, and folders in one another.
func (s *evidenceSet) add(list *[]string, name string) {
	if s.seen != nil {
		clean := filepath.Clean(name)
		if s.seen[clean] {
			return
		}
		s.seen[clean] = true
	}
	*list = append(*list, name)
}

// walk takes the regular files of a folder, but for records.
func (s *evidenceSet) walk(name string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir():
	case !d.Type().IsRegular():
		s.notFiles++
	case filepath.Ext(name) != recordSuffix:
		s.add(&s.names, name)
	case s.fromHere && !exists(strings.TrimSuffix(name, recordSuffix)):
		s.add(&s.orphans, name)
	}
	return nil
}

// sayPassedOver says what is in the folders that were named and cannot have a record.
func (s *evidenceSet) sayPassedOver(say func(string)) {
	if s.notFiles > 0 {
		say(fmt.Sprintf("note: passed over, being symbolic links or no regular files: %d", s.notFiles))
	}
}

// saySpare says what is in the folder of the records and is for none of the files. That they are missing it does not say: the
// records of other folders may be there as well.
func (s *evidenceSet) saySpare(say func(string)) {
	if s.fromHere || s.group || !s.folders {
		return
	}
	known := make(map[string]bool, len(s.names))
	for i := range s.names {
		known[filepath.Base(s.record(i))] = true
	}
	entries, _ := os.ReadDir(s.records) // where it cannot be read, each file is told to have no record
	others := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == recordSuffix && !known[e.Name()] {
			others++
		}
	}
	if others > 0 {
		say(fmt.Sprintf("note: records in %s whose file is not here: %d", s.records, others))
	}
}

// checkNames makes sure that in a folder of records each has a name of its own.
func (s *evidenceSet) checkNames() error {
	if s.fromHere || s.group {
		return nil
	}
	taken := make(map[string]string, len(s.names))
	for _, name := range s.names {
		base := filepath.Base(name)
		if other, ok := taken[base]; ok {
			return usage("--records", fmt.Errorf("%s and %s would have the same record", other, name), "leave --records out: each record then lies beside its file")
		}
		taken[base] = name
	}
	return nil
}

// withoutRecords keeps the data objects that have no record yet. Of files in a folder others may have one; who names a file
// means that it has none.
func (s *evidenceSet) withoutRecords() (passedOver int, err error) {
	left := s.names[:0]
	for i, name := range s.names {
		switch {
		case !exists(s.record(i)):
			left = append(left, name)
		case i < s.named || s.group:
			return 0, usage("tsa evidence create", fmt.Errorf("%s is there already", s.record(i)),
				"renew it: `sealmail tsa evidence renew`; or write another elsewhere, with --records")
		}
	}
	passedOver = len(s.names) - len(left)
	s.names = left
	return passedOver, nil
}

// len is how many records there are, or are to be.
func (s *evidenceSet) len() int {
	if s.group {
		return 1
	}
	return len(s.names)
}

// files are those of one record.
func (s *evidenceSet) files(i int) []string {
	if s.group {
		return s.names
	}
	return s.names[i : i+1 : i+1]
}

// record is where the record of a data object is.
func (s *evidenceSet) record(i int) string {
	switch {
	case s.group:
		return s.records
	case s.fromHere:
		return s.names[i] + recordSuffix
	}
	return filepath.Join(s.records, filepath.Base(s.names[i])+recordSuffix)
}

// line is what there is to say of a record before it is looked at.
func (s *evidenceSet) line(i int) EvidenceLine {
	return EvidenceLine{Files: s.files(i), Record: s.record(i), TimeStamps: []EvidenceStamp{}}
}
