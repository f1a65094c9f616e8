package client

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"github.com/sealmail/sealmail/internal/glyph"
	"github.com/sealmail/sealmail/smime"
)

// Bounds on file names, in octets. File systems take 255; something may be put before or behind.
const (
	maxFileName  = 200
	maxExtension = 20 // with its dot; what is longer is none
)

// attachmentName makes a name for the file of a part: one that is a plain file on every system, and says nothing else than
// what is seen of it. index counts from 1. The note says what there is to know about it, or nothing.
func attachmentName(p *smime.Part, index int) (name, note string) {
	var notes []string
	name, invisible := visibleName(p.Filename)
	if invisible {
		notes = append(notes, "its name had characters in it that are not seen, which are left out")
	}
	name = plainName(name)
	if name == "" {
		name = fmt.Sprintf("part-%d%s", index, typeExtension(p.Type))
	}
	name = withEnclosureEnding(name, p.Encloses)
	name = shorten(guardName(shorten(name, "")), "")
	if warning := programName(name); warning != "" {
		notes = append(notes, warning)
	}
	return name, strings.Join(notes, "; ")
}

// visibleName drops what is not seen of a name, and makes white space blanks.
func visibleName(raw string) (name string, dropped bool) {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !glyph.IsHarmless(r):
			dropped = true
			return -1
		}
		return r
	}, strings.ToValidUTF8(raw, "\uFFFD"))
	return strings.Join(strings.Fields(norm.NFC.String(name)), " "), dropped
}

// plainName replaces what some system does not take in a name. Nothing may be left.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"/\|?*`, r) { // of Windows
			return '_'
		}
		return r
	}, name)
	return strings.Trim(strings.TrimRight(name, ". "), " ") // Windows drops dots and blanks at the end
}

// guardName changes names that mean something else to a system or a shell: of devices, hidden files, options.
func guardName(name string) string {
	if strings.ContainsAny(name[:1], ".-~") {
		name = "_" + name[1:]
	}
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimSpace(stem))
	if number, ok := strings.CutPrefix(stem, "COM"); ok && isDeviceNumber(number) {
		return "_" + name
	}
	if number, ok := strings.CutPrefix(stem, "LPT"); ok && isDeviceNumber(number) {
		return "_" + name
	}
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}, stem) {
		return "_" + name
	}
	return name
}

func isDeviceNumber(s string) bool {
	return len(s) == 1 && s[0] >= '0' && s[0] <= '9' || s == "¹" || s == "²" || s == "³"
}

// withEnclosureEnding lets the name of something enclosed end in what tells programs to open it as that.
func withEnclosureEnding(name string, e smime.Enclosure) string {
	endings := map[smime.Enclosure][]string{
		smime.EnclosesMessage: {".eml"}, smime.EnclosesEncrypted: {".p7m"}, smime.EnclosesSigned: {".p7m", ".p7c", ".p7s"}, smime.EnclosesCompressed: {".p7z", ".p7m"},
	}[e]
	if len(endings) == 0 || slices.Contains(endings, strings.ToLower(path.Ext(name))) {
		return name
	}
	return name + endings[0]
}

// typeExtension is the usual ending of a media type, with its dot. It does not depend on what the system is set up for.
func typeExtension(mediaType string) string {
	switch mediaType {
	case "text/plain":
		return ".txt"
	case "text/html":
		return ".html"
	case "text/calendar":
		return ".ics"
	case "text/csv":
		return ".csv"
	case "text/vcard", "text/x-vcard", "text/directory":
		return ".vcf"
	case "image/jpeg", "image/pjpeg":
		return ".jpg"
	case "image/png":
		return ".png"
	case "image/gif":
		return ".gif"
	case "image/svg+xml":
		return ".svg"
	case "image/tiff":
		return ".tif"
	case "image/webp":
		return ".webp"
	case "application/pdf":
		return ".pdf"
	case "application/zip":
		return ".zip"
	case "application/json":
		return ".json"
	case "application/xml", "text/xml":
		return ".xml"
	case "application/rtf", "text/rtf":
		return ".rtf"
	case "message/rfc822", "message/global":
		return ".eml"
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return ".p7m"
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		return ".p7s"
	case "application/ms-tnef":
		return ".tnef"
	}
	return ".bin"
}

// shorten cuts the stem of a name, between characters, so that with addition behind the stem it has the length it may have.
func shorten(name, addition string) string {
	extension := path.Ext(name)
	if len(extension) > maxExtension || len(extension) == len(name) {
		extension = ""
	}
	stem, room := strings.TrimSuffix(name, extension), maxFileName-len(extension)-len(addition)
	if len(stem) > room {
		kept, state := 0, -1
		for rest := stem; rest != ""; {
			var cluster string
			cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
			if kept+len(cluster) > room {
				break
			}
			kept += len(cluster)
		}
		if stem = strings.TrimRight(stem[:kept], ". "); stem == "" { // one character of hundreds of marks
			stem = "_"
		}
	}
	return stem + addition + extension
}

// nameKey is equal for names that some file system takes for one.
func nameKey(name string) string { return strings.ToLower(strings.ToUpper(norm.NFC.String(name))) }

// usedNames are the names that were given, each with the number that the next of its kind gets.
type usedNames map[string]int

// unused returns the name, numbered where one that some system takes for the same was given before.
func (u usedNames) unused(name string) string {
	key, unique := nameKey(name), name
	for u[nameKey(unique)] > 0 {
		u[key]++
		unique = shorten(name, fmt.Sprintf(" (%d)", u[key]))
	}
	u[nameKey(unique)] = 1
	return unique
}

// programs are endings of what runs when it is opened, on one system or another, or makes something run.
const programs = " exe com scr pif bat cmd msi msp mst msix appx appref-ms application cpl dll ocx sys drv hta js jse mjs vbs vbe wsf wsh wsc ps1 psm1 psd1" +
	" lnk url website scf inf reg jar jnlp sh bash zsh csh command tool app dmg pkg workflow action scpt applescript iso img vhd vhdx apk aab ipa deb rpm" +
	" appimage run bin desktop gadget chm hlp xll wll settingcontent-ms library-ms search-ms diagcab py pyc pyw pyz pl rb lua php elf so dylib terminal "

// macros are endings of documents that may hold programs.
const macros = " docm dotm xlsm xltm xlam xlsb pptm potm ppam ppsm sldm accdb accde mdb slk iqy one "

// documents are endings that look harmless before a program's.
const documents = " pdf doc docx xls xlsx ppt pptx odt ods odp txt rtf csv htm html xml jpg jpeg png gif tif tiff bmp svg mp3 mp4 avi mov wav zip eml ics vcf p7m "

// programName says what a name tells of a file that does more than to be looked at.
func programName(name string) string {
	extension := path.Ext(name)
	ending := " " + strings.ToLower(strings.TrimPrefix(extension, ".")) + " "
	if len(ending) < 3 || strings.HasPrefix(name, "part-") && ending == " bin " {
		return ""
	}
	if strings.Contains(macros, ending) {
		return "a document of this kind may hold a program"
	}
	if !strings.Contains(programs, ending) {
		return ""
	}
	stem := strings.TrimSpace(strings.TrimSuffix(name, extension))
	if before := strings.ToLower(strings.TrimPrefix(path.Ext(stem), ".")); before != "" && strings.Contains(documents, " "+strings.TrimSpace(before)+" ") {
		return fmt.Sprintf("this is a program (%s), and its name looks like that of a document (.%s)", extension, strings.TrimSpace(before))
	}
	return fmt.Sprintf("this is a program (%s): it may run when it is opened", extension)
}
