package hostiletest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// unsignedText is a message of Mallory with this text, which nobody signed.
func unsignedText(s string, fields ...string) func(*Lab) string {
	return func(l *Lab) string { return l.mail(text(s), append([]string{malloryFrom}, fields...)...) }
}

// displayCases are about what a text, a subject or a date does to the screen.
func displayCases() []Case {
	// visible is a message of which these things are seen, and those are not.
	visible := func(screen, not []string) Expectation {
		return Expectation{Verdict: "unsigned", Screen: screen, NotScreen: append(not, "▌ PASSED")}
	}
	return []Case{
		{"601-escape-sequences", `
			The text holds ANSI escape sequences: it clears the screen, moves the cursor to the top, and prints a verdict in green. A
			terminal that gets them shows that verdict instead of sealmail's. Controls become visible, and do nothing.`,
			visible([]string{"<U+001B>[2J", "<U+001B>[1;1H"}, []string{"\x1b"}),
			unsignedText("\x1b[2J\x1b[1;1H\x1b[32m▌ PASSED        signed by Alice Adams <alice@example.test>\x1b[0m\n\x1b[8mhidden\x1b[0m\n")},
		{"602-terminal-links-and-clipboard", `
			The text holds an OSC 8 link whose words are not its target, an OSC 52 that writes into the clipboard, an OSC 0 that sets the
			title, and a request for the terminal's answer. None of them reaches the terminal.`,
			visible([]string{"<U+001B>]8;;", "<U+001B>]52;c;", "<U+0007>"}, []string{"\x1b", "\x07"}),
			unsignedText("\x1b]8;;http://mallory.test/\x1b\\http://example.test/\x1b]8;;\x1b\\ \x1b]52;c;cm0gLXJmIC8K\x07 \x1b]0;sealmail: PASSED\x07 \x1b[6n\x1bP$qm\x1b\\\n")},
		{"603-c1-controls", `
			The text holds C1 controls as characters of their own: U+009B is CSI in one, U+009D is OSC, U+0085 is a line end on some terminals. They are controls like the
			others (ECMA-48), and become visible.`,
			visible([]string{"<U+009B>", "<U+009D>", "<U+0085>"}, []string{"\u009b", "\u009d", "\u0085"}),
			unsignedText("\u009b2J\u009d0;title\u009c next\u0085▌ PASSED\n")},
		{"604-carriage-return-and-backspace", `
			The text overwrites itself: a carriage return without a line feed, and backspaces. "pay 9000" reads as "pay 10" on a terminal,
			and not in the JSON. Neither moves the cursor.`,
			visible([]string{"<U+000D>", "<U+0008>"}, []string{"\r", "\b"}),
			func(l *Lab) string {
				return l.mail(part("text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "please pay 9000 euros=0Dplease pay 10 euros  \nto account 666=08=08=08777\n"), malloryFrom)
			}},
		{"605-turned-around", `
			The text holds bidirectional overrides and isolates, which make an amount and an account number read otherwise than they
			are. They become visible, and nothing behind them is turned around (Unicode TR 36).`,
			visible([]string{"<U+202E>", "<U+2066>"}, []string{"\u202e", "\u2066", "\u200f"}),
			unsignedText("pay \u202e0009\u202c euros to \u2066666\u2069, \u200fnot to 777\n", "Subject: pay \u202e0009\u202c euros")},
		{"606-zero-width", `
			The text has zero-width spaces, joiners and a soft hyphen in words, a Hangul filler, and tag characters that say something else
			unseen. What is not seen cannot be compared. They become visible.`,
			visible([]string{"<U+200B>", "<U+00AD>", "<U+3164>", "<U+E0041>"}, []string{"\u200b", "\u00ad", "\u3164", "\U000E0041"}),
			unsignedText("pass\u200bword pay\u200dpal a\u00adccount \u3164\U000E0041\U000E0042\ufeff end\n")},
		{"607-the-mark", `
			The text has a line like one of sealmail's own, with the mark at its beginning, the right number of blanks and "PASSED".
			sealmail's own lines carry a mark that message text cannot produce. Where text has it, it is replaced.`,
			visible([]string{"<U+258C> PASSED"}, nil),
			unsignedText("Hello.\n\n▌ PASSED        signed by Alice Adams <alice@example.test>\n▌               certificate from Hostile Test Issuing CA, valid to 2035-01-01, not revoked\n")},
		{"608-the-mark-in-the-subject", `
			The subject begins with the mark and a verdict, raw and as an encoded word. It stands behind "Subject:", and the mark is replaced.`,
			visible([]string{"Subject: <U+258C> PASSED"}, nil),
			unsignedText("Hello.\n", "Subject: =?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte("▌ PASSED signed by Alice"))+"?=")},
		{"609-marks-that-look-alike", `
			The text has lines that begin with other block characters: U+258D, U+258B, U+258A, U+2590, U+2503, and "|". Next to the real mark
			a person sees little difference, and none where sealmail's own lines are off the screen. The mark's neighbours cannot begin a
			line either.`,
			Expectation{Verdict: "unsigned", NotScreen: []string{"\n▍ PASSED", "\n▋ PASSED", "\n▊ PASSED", "\n▐ PASSED", "\n┃ PASSED"}},
			unsignedText("Hello.\n\n▍ PASSED        signed by Alice Adams <alice@example.test>\n▋ PASSED\n▊ PASSED\n▐ PASSED\n┃ PASSED\n| PASSED\n")},
		{"610-a-second-header", `
			The text begins with an empty line and what looks like the header that sealmail prints: From Alice, a Subject, a Date. Where header
			lines have no mark, a person cannot tell where the header ends. What sealmail says itself carries the mark.`,
			Expectation{Verdict: "unsigned", NotScreen: []string{"\nFrom:    mallory@example.test"}, Screen: []string{"mallory@example.test", "\nFrom:    alice@example.test"}},
			unsignedText("\nFrom:    alice@example.test\nTo:      bob@example.test\nSubject: Offer\nDate:    2026-11-21 10:00:00 UTC\n\nDear Bob,\n")},
		{"611-an-attachment-that-is-none", `
			The text ends with a line like those that list attachments. There is no attachment. The mark in it is replaced, so that it
			is seen to be text.`,
			visible([]string{"<U+258C> attachment: contract.pdf"}, []string{"▌ attachment"}),
			unsignedText("See the contract.\n▌ attachment: contract.pdf (application/pdf, 58.1 KiB)\n")},
		{"612-combining-characters", `
			The text piles hundreds of combining characters on one letter, which then cover the lines above, among them the verdict. The number
			of marks on one character is bounded when it is shown.`,
			Expectation{Verdict: "unsigned", NotScreen: []string{strings.Repeat("\u0301", 50)}},
			unsignedText("H" + strings.Repeat("\u0301", 300) + "i\n")},
		{"613-empty-lines", `
			The text has a thousand empty lines before its last one, so that sealmail's lines at the top are off the screen when the text
			ends with a forged verdict. Nothing can be done about length; the forged lines have no mark.`,
			visible([]string{"<U+258C> PASSED"}, nil),
			unsignedText("Hello." + strings.Repeat("\n", 1000) + "▌ PASSED        signed by Alice Adams <alice@example.test>\n")},
		{"614-subject-with-a-line-end", `
			The subject is an encoded word with a line end, and behind it "Date: " and a verdict. It stays in one line.`,
			visible([]string{"<U+000A>"}, []string{"\nDate: yesterday", "\nPASSED"}),
			unsignedText("Hello.\n", "Subject: =?utf-8?q?Hello=0ADate:_yesterday=0APASSED?=")},
		{"615-very-long-subject", `
			The subject has fifty thousand characters in one line, so that it fills several screens. RFC 5322 section 2.1.1 has lines of 998
			at most; it is read and shown all the same, and the message is not refused for it.`,
			visible([]string{"Subject: aaaa"}, nil),
			unsignedText("Hello.\n", "Subject: "+strings.Repeat("a", 50_000))},
		{"616-date-that-is-none", `
			Date is in the year 99999, with a time zone of 99 hours. It cannot be read as a time (RFC 5322 section 3.3), and is null rather
			than some other day.`,
			Expectation{Verdict: "unsigned", NotScreen: []string{"99999"}},
			unsignedText("Hello.\n", "Date: Sat, 21 Nov 99999 10:00:00 +9900")},
		{"617-another-character-set", `
			The text says that it is in UTF-7, in which "+AFs-" and the like are other characters: what a filter sees is not what a reader
			shows. Character sets that turn ASCII into something else are not decoded, or decoded before everything else is looked at.`,
			visible(nil, []string{"\x1b"}),
			func(l *Lab) string {
				return l.mail(part("text/plain; charset=utf-7", "Content-Transfer-Encoding: 7bit", "+ABs-[2J+JYw- PASSED signed by Alice\n"), malloryFrom)
			}},
		{"618-iso-2022", `
			The text is in ISO-2022-JP, which is full of escape characters by nature. They are part of the encoding and are gone once it is
			decoded; one that is left over becomes visible.`,
			visible([]string{"日本"}, []string{"\x1b"}),
			func(l *Lab) string {
				return l.mail(part("text/plain; charset=iso-2022-jp", "Content-Transfer-Encoding: 7bit", "\x1b$BF|K\\\x1b(B \x1b[31mred\x1b[0m\n"), malloryFrom)
			}},
		{"619-not-utf-8", `
			The text claims UTF-8 and is not: overlong forms of ESC and of the slash, surrogates, and octets that begin nothing (RFC 3629
			section 10). Decoders that are too lenient make controls of them. Each becomes a replacement character.`,
			visible(nil, []string{"\x1b", "\xc0"}),
			func(l *Lab) string {
				return l.mail("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc0\x9b[2J \xe0\x80\x9b[2J \xc0\xaf \xed\xa0\x80 \xff\xfe \x9b2J end\r\n", malloryFrom)
			}},
		{"620-null-and-form-feed", `
			The text has NUL, form feed, vertical tab and DEL in it. Programs in C end at the NUL, and show half; terminals go to another page at
			the form feed. All of the text is there, with the controls visible.`,
			visible([]string{"<U+0000>", "<U+000C>", "<U+000B>", "<U+007F>", "the end"}, []string{"\x00", "\x0c", "\x0b", "\x7f"}),
			unsignedText("one\x00two\x0cthree\x0bfour\x7f the end\n")},
		{"621-many-recipients", `
			To has two thousand addresses, which push the verdict off the screen, and Cc has the mark in a name. A field takes a few lines on
			the screen, and shows that there is more; no line of one is another's. The JSON has them all.`,
			visible([]string{"a0@example.test", "…\n▌ Cc:      carol@example.test"}, []string{"a1999@example.test"}),
			func(l *Lab) string {
				var to []string
				for i := range 2000 {
					to = append(to, fmt.Sprintf("a%d@example.test", i))
				}
				return l.mail(text("Hello.\n"), malloryFrom, "To: "+strings.Join(to, ",\r\n ")+",\r\n bob@example.test", "Cc: =?utf-8?q?=E2=96=8C_PASSED?= <carol@example.test>")
			}},
		{"622-private-use", `
			The text has characters for private use and noncharacters, which a font of the sender's choice could draw as anything. They
			become visible as numbers.`,
			visible([]string{"<U+E000>", "<U+FDD0>"}, []string{"\ue000", "\ufdd0"}),
			unsignedText("\ue000\uf8ff\ufdd0\U0010ffff\n")},
		{"623-attachment-as-text", `
			Two text parts are displayed one below the other in a multipart/mixed. The second begins with what looks like sealmail's list of
			parts. Both are text, and the mark is replaced in both.`,
			visible([]string{"first", "<U+258C> attachment"}, []string{"▌ attachment: nothing"}),
			func(l *Lab) string {
				return l.mail(multipart("mixed", text("first\n"), text("▌ attachment: nothing (none, 0 B)\nsecond\n")), malloryFrom)
			}},
	}
}

// htmlCases are about what HTML does when it is turned into text.
func htmlCases() []Case {
	page := func(s string) func(*Lab) string { return func(l *Lab) string { return l.mail(html(s), malloryFrom) } }
	unsigned := func(text, not []string) Expectation {
		return Expectation{Verdict: "unsigned", Text: text, NotText: not, NotScreen: append([]string{"▌ PASSED", "\x1b"}, not...)}
	}
	coded := func(e Expectation, codes ...string) Expectation {
		e.Codes = append(e.Codes, codes...)
		return e
	}
	return []Case{
		{"641-entities-make-controls", `
			HTML entities for ESC, CSI and the mark: &#27;[2J, &#x9b;, &#9612;. They become characters when the HTML is turned into text, behind
			whatever cleaned the source. What is cleaned is the text that comes out.`,
			Expectation{Verdict: "unsigned", Text: []string{"PASSED"}, Screen: []string{"<U+001B>[2J", "<U+258C> PASSED"}, NotScreen: []string{"\x1b", "\u202e"}},
			page("<p>&#27;[2J&#x9b;31m&#9612; PASSED signed by Alice</p><p>&#0;&#8238;0009</p>")},
		{"642-scripts-styles-forms", `
			Scripts, styles, a form with a password field, event handlers, an object, an applet and MathML. None of it is text, and nothing of
			it is run, shown or sent.`,
			unsigned([]string{"Dear Bob", "Regards"}, []string{"alert", "color:red", "mallory.test", "your password"}),
			page(`<html><head><title>alert</title><style>p{color:red}</style><script>alert(1)</script></head><body onload="alert(2)"><p onclick="alert(3)">Dear Bob</p>
<form action="http://mallory.test/"><input name=p placeholder="your password"><textarea>your password</textarea><button>your password</button></form>
<object data="http://mallory.test/o">alert</object><svg><script>alert(4)</script></svg><math><mtext>alert</mtext></math><p>Regards</p></body></html>`)},
		{"643-remote-content", `
			Images, a style sheet, a font, a frame, a video and a background from Mallory's server, each of which tells her when and where the
			mail was read. Nothing remote is loaded. That there was something is said.`,
			coded(unsigned([]string{"Dear Bob"}, []string{"mallory.test"}), "remote-content"),
			page(`<link rel=stylesheet href="http://mallory.test/s.css"><style>@import "http://mallory.test/i.css"; p{background:url(http://mallory.test/b.png)}</style>
<p background="http://mallory.test/bg">Dear Bob</p><img src="http://mallory.test/1.png" srcset="http://mallory.test/2.png 2x" alt=""><iframe src="http://mallory.test/f"></iframe>
<video poster="http://mallory.test/p"><source src="http://mallory.test/v"></video>`)},
		{"644-link-that-leads-elsewhere", `
			A link whose words are https://bank.example.test/ and whose target is Mallory's server. Where a link leads is said beside its words,
			and that it differs is told.`,
			coded(unsigned([]string{"bank.example.test", "http://mallory.test/login"}, nil), "link-differs"),
			page(`<p>Log in at <a href="http://mallory.test/login">https://bank.example.test/</a></p>`)},
		{"645-links-that-are-no-links", `
			Links with javascript:, data: and vbscript: targets, and with controls in the scheme. Nobody is to follow them; their words
			are text, and their targets are not shown as if they were addresses.`,
			unsigned([]string{"click"}, []string{"alert(", "<script"}),
			page(`<p><a href="javascript:alert(1)">click</a> <a href="java&#10;script:alert(2)">here</a> <a href="data:text/html,<script>alert(3)</script>">or</a> <a href="&#1;vbscript:alert(4)">there</a></p>`)},
		{"646-hidden-text", `
			Text that a browser does not show: display:none, visibility:hidden, font-size 0, white on white, opacity 0, the hidden attribute, a
			comment. Mallory means it for filters and for quotes, or means a person to sign what is not seen. It is not shown, and that there
			was some is said.`,
			coded(unsigned([]string{"Dear Bob"}, []string{"UNSEEN"}), "hidden-text"),
			page(`<p>Dear Bob</p><div style="display:none">UNSEEN 1</div><span style="visibility:hidden">UNSEEN 2</span><span style="font-size:0px">UNSEEN 3</span><span style="color:#fff;background:#ffffff">UNSEEN 4</span><p style="opacity:0">UNSEEN 5</p><p hidden>UNSEEN 6</p><!-- UNSEEN 7 --><p style="position:absolute;left:-9999px">UNSEEN 8</p>`)},
		{"647-hidden-by-a-style-sheet", `
			The same by rules in a style element: a class, an identifier, a list of selectors. A reader that looks at style attributes alone
			shows it.`,
			coded(unsigned([]string{"Dear Bob"}, []string{"UNSEEN"}), "hidden-text"),
			page(`<style>.x{display:none} #y, p.z { visibility: hidden }</style><p>Dear Bob</p><p class="a x">UNSEEN 1</p><p id=y>UNSEEN 2</p><p class=z>UNSEEN 3</p>`)},
		{"648-conditional-display", `
			Style rules under @media and attribute selectors show one text here and another text there: to Bob "I agree", to a court "I do not"
			(published as a way to have people sign what they do not see). What is shown may differ from what others see, and that
			is said.`,
			coded(Expectation{Verdict: "passed", Text: []string{"Dear Bob"}}, "conditional-style"),
			func(l *Lab) string {
				return l.mail(l.sign(html(`<style>@media screen{.s{display:block}.p{display:none}} @media print{.s{display:none}} [data-x] .q{display:none}</style><p>Dear Bob</p><p class=s>I agree</p><p class=p>I do not agree</p>`), l.Alice))
			}},
		{"649-attribute-that-swallows", `
			An attribute is opened with a quote that nothing closes, so that all that follows is its value. A browser shows nothing of
			it, and a reader that repairs it in its own way shows something else. It is HTML of a part, and ends with the part; that
			an address swallows text is said.`,
			coded(unsigned([]string{"Dear Bob"}, nil), "swallowed-text"),
			page(`<p>Dear Bob</p><img src="http://mallory.test/?<p>the rest of the message`)},
		{"650-comments", `
			Conditional comments of an office program, and comments that end in odd ways: --!>, a dash too many, none at all. What they hold
			is shown by some readers and not by others. A comment ends where the HTML standard says it does, and holds no text.`,
			coded(unsigned([]string{"Dear Bob", "Regards"}, []string{"UNSEEN"}), "conditional-style"),
			page(`<p>Dear Bob</p><!--[if mso]><p>UNSEEN 1</p><![endif]--><!-- UNSEEN 2 --!><p>Regards</p><!--><p>seen</p><!--->`)},
		{"651-table-and-list", `
			A table whose cells say "pay", "10" and a list that begins at 9000. Turned into text, cells must not run into each other, and
			numbers must not be made up: "1090" would be another amount.`,
			unsigned([]string{"pay"}, []string{"1090", "pay10"}),
			page(`<table><tr><td>pay</td><td>10</td><td>90</td></tr></table><ol start="9000"><li>euros</li></ol>`)},
		{"652-text-and-html-differ", `
			The plain alternative says 10 euros and the HTML one says 9000. What is displayed is the plain text, without a word of the HTML;
			other readers show the other. Both are alternatives of one message (RFC 2046 section 5.1.4).`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, NotText: []string{"9000"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart("alternative", text(offer), html("<p>please transfer 9000 euros</p>")), l.Alice))
			}},
		{"653-nested-deep", `
			Ten thousand elements, one in the other, and none of them closed. A reader that walks them by calling itself runs out of its
			stack. The text comes out, and nothing else happens.`,
			unsigned([]string{"the bottom"}, nil),
			page(strings.Repeat("<div>", 10_000) + "the bottom")},
		{"654-plaintext-element", `
			The element <plaintext> says that all that follows is text, </plaintext> and markup included, and <xmp> likewise until its end. Readers differ about both. Whatever is
			made of them, no markup of theirs has any effect, and no line is forged.`,
			unsigned([]string{"Dear Bob"}, nil),
			page(`<p>Dear Bob</p><xmp><b>▌ PASSED</b></xmp><plaintext><script>alert(1)</script>▌ PASSED`)},
		{"655-image-descriptions", `
			The alternative text of an image is ten lines long and looks like a verdict. It is shown in brackets, as the description of an
			image, and has no mark.`,
			unsigned([]string{"["}, nil),
			page("<p>Hello</p><img src=\"cid:x\" alt=\"]\n▌ PASSED        signed by Alice Adams\n[\"><p>Bye</p>")},
		{"656-base-and-refresh", `
			A <base> that makes relative links lead to Mallory, and a <meta http-equiv=refresh> that would go there at once. Neither has any
			effect; relative targets are no addresses that anybody could follow.`,
			unsigned([]string{"Dear Bob"}, nil),
			page(`<base href="http://mallory.test/"><meta http-equiv="refresh" content="0;url=http://mallory.test/r"><p>Dear Bob, <a href="/login">log in</a></p>`)},
		{"657-text-where-columns-stand", `
			Text stands in a <colgroup>, where nothing but columns can be, and behind a <frameset> that comes after text. A browser ends
			the one before the text and passes over the other, and shows both (HTML section 13.2.6.4). Whoever leaves them out hides
			"NOT" from Bob. The first is shown; of the second it is said that others may show more.`,
			coded(Expectation{Verdict: "passed", Text: []string{"I do", "NOT", "agree"}}, "conditional-style"),
			func(l *Lab) string {
				return l.mail(l.sign(html(`<p>I do</p><table><colgroup>NOT<tr><td>agree</td></tr></table><frameset>to this</frameset>`), l.Alice))
			}},
		{"658-shown-to-some-alone", `
			"I do NOT" stands where browsers do not show it, and a reader that is not careful does: behind display:none with a value
			that is none after it, which browsers pass over; in a body that has no tag and that a rule takes away; beside the margin. It is left out as
			hidden, and a field with a value and a document in an attribute, which others do show, are told of.`,
			coded(Expectation{Verdict: "passed", Text: []string{"Dear Bob, agreed."}, NotText: []string{"NOT"}}, "hidden-text", "conditional-style"),
			func(l *Lab) string {
				return l.mail(l.sign(html(`<style>tbody{display:none}</style><p>Dear Bob, <b style="display:none;display:anything">NOT</b>agreed.</p>`+
					`<p style="margin:-9999px 0">NOT</p><table><tr><td>NOT</table><input value="NOT"><iframe srcdoc="&lt;p&gt;NOT"></iframe>`), l.Alice))
			}},
		{"659-root-of-related-parts", `
			Two texts in a multipart/related, "I agree" and "I do NOT agree", and the parameter start names the second. RFC 2387 section 3.2
			has that one shown, and readers do. Whoever takes the first whatever start says shows Bob what nobody else sees.`,
			Expectation{Verdict: "passed", Text: []string{"I do NOT agree"}, NotText: []string{"I agree"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart(`related; start="<root@example.test>"`, text("I agree\n"),
					strings.Replace(text("I do NOT agree\n"), "\r\n", "\r\nContent-ID: <root@example.test>\r\n", 1)), l.Alice))
			}},
	}
}

// fileNameCases are about the names of attachments.
func fileNameCases() []Case {
	// named is a message with an attachment of this name, as the value of Content-Disposition says it.
	called := func(disposition string) func(*Lab) string {
		return func(l *Lab) string {
			return l.mail(l.sign(multipart("mixed", text("See the attachment.\n"), attachment("attachment; "+disposition, "x\n")), l.Alice))
		}
	}
	shown := func(screen string, not ...string) Expectation {
		return Expectation{Verdict: "passed", Screen: []string{"▌ attachment 2: " + screen}, NotScreen: not}
	}
	return []Case{
		{"671-path-upwards", `
			The file name is ../../../etc/passwd. A reader that saves it by its name writes where the sender wants. Of a name the last
			element counts (RFC 2183 section 2.3: path information is to be ignored).`,
			shown("passwd", "../"), called(`filename="../../../etc/passwd"`)},
		{"672-path-of-another-system", `
			The file name is C:\Windows\System32\drivers\etc\hosts: a path on another system than the one this runs on. Separators of any
			system end an element (RFC 2183 section 2.3).`,
			shown("hosts", `C:`, `\Windows`), called(`filename="C:\\Windows\\System32\\drivers\\etc\\hosts"`)},
		{"673-name-turned-around", `
			The file name is "annex", a right-to-left override, and "fdp.exe": it reads as annexexe.pdf, and is a program. The override
			is visible, and the name is read as it is.`,
			shown("\"annex<U+202E>fdp.exe", "\u202e"), called(`filename*=utf-8''annex%E2%80%AEfdp.exe`)},
		{"674-name-with-a-nul", `
			The file name is contract.pdf, NUL, .exe. A program that handles strings as C does shows the one and saves the other. The NUL is
			visible.`,
			shown("\"contract.pdf<U+0000>.exe"), called(`filename*=utf-8''contract.pdf%00.exe`)},
		{"675-name-with-a-line-end", `
			The file name holds a line end and behind it a line like sealmail's own (by RFC 2231 percent encoding). It stays in one line, and
			the mark is replaced.`,
			shown("\"a.pdf<U+000A><U+258C> PASSED", "\nPASSED"), called(`filename*=utf-8''a.pdf%0D%0A%E2%96%8C%20PASSED%20signed%20by%20Carol`)},
		{"676-name-with-escapes", `
			The file name holds escape sequences, as an encoded word, which RFC 2231 has no place for, and many programs decode. Whether it is decoded or not,
			no escape reaches the terminal.`,
			Expectation{Verdict: "passed", Screen: []string{"▌ attachment 2: "}, NotScreen: []string{"\x1b"}}, called(`filename="=?utf-8?q?=1B[2Ja=1B]0;title=07.pdf?="`)},
		{"677-device-name", `
			The file names are those of devices on another system: CON, NUL.txt, COM1. Opened there they are no files. They are shown as
			they are; saving gives them other names.`,
			shown("NUL.txt"), called(`filename="NUL.txt"`)},
		{"678-very-long-name", `
			The file name has thirty thousand characters, and ".exe" at its end, beyond every screen. The name is bounded when it is
			shown, and its end is seen.`,
			Expectation{Verdict: "passed", Screen: []string{".exe"}, NotScreen: []string{strings.Repeat("contract ", 60)}},
			called(`filename="` + strings.Repeat("contract ", 3300) + `.exe"`)},
		{"679-many-blanks", `
			The file name is contract.pdf, two hundred blanks, .exe. In a list the end is out of sight. Runs of blanks in a name are no more than
			one when they are shown.`,
			Expectation{Verdict: "passed", Screen: []string{"contract.pdf", ".exe"}, NotScreen: []string{strings.Repeat(" ", 100)}},
			called(`filename="contract.pdf` + strings.Repeat(" ", 200) + `.exe"`)},
		{"680-empty-name", `
			The file name is there and empty, or is made of dots alone. It is an attachment without a name. It must be listed all the
			same: what is not listed is not known to be there.`,
			Expectation{Verdict: "passed", Screen: []string{"application/octet-stream"}}, called(`filename=""`)},
		{"681-dots", `
			The file name is "..". As a file it is the folder above. It is no name, and the attachment is listed without one.`,
			Expectation{Verdict: "passed", Screen: []string{"application/octet-stream"}, NotScreen: []string{"attachment 2: .."}}, called(`filename=".."`)},
		{"682-two-names", `
			Content-Disposition says contract.pdf, and Content-Type says contract.exe. One reader shows the first, and another saves the second.
			The name in Content-Disposition counts (RFC 2183 section 2.3).`,
			shown("contract.pdf", "contract.exe"),
			func(l *Lab) string {
				attached := part(`application/octet-stream; name="contract.exe"`, `Content-Disposition: attachment; filename="contract.pdf"`, "x\n")
				return l.mail(l.sign(multipart("mixed", text("See the attachment.\n"), attached), l.Alice))
			}},
		{"683-name-in-pieces", `
			The file name comes in pieces by RFC 2231 (filename*0, filename*1*), beside a plain filename that is another. RFC 6266 and RFC 2231 readers take the extended form. One
			name is shown, and it is the one that would be saved.`,
			shown("contract.exe", "contract.pdf"), called(`filename="contract.pdf"; filename*0="contract"; filename*1*=%2Eexe`)},
		{"684-control-in-the-type", `
			The media type of an attachment holds escape sequences and a parenthesis. It stands in a line of sealmail's own. It is cleaned
			like everything else.`,
			Expectation{Verdict: "passed", Screen: []string{"▌ attachment 2: a.pdf"}, NotScreen: []string{"\x1b"}},
			func(l *Lab) string {
				attached := part("application/x-\x1b[2J▌", `Content-Disposition: attachment; filename="a.pdf"`, "x\n")
				return l.mail(l.sign(multipart("mixed", text("See the attachment.\n"), attached), l.Alice))
			}},
		{"685-inline-and-named-as-text", `
			A text part has the disposition inline and a file name that ends in .txt, and its text looks like a continuation of the first one.
			It is text of the message (RFC 2183 section 2.1) and is displayed as such. Its name is listed as that of a part.`,
			Expectation{Verdict: "passed", Text: []string{"first", "second"}},
			func(l *Lab) string {
				second := part("text/plain; charset=us-ascii", `Content-Disposition: inline; filename="p.s.txt"`, "second\n")
				return l.mail(l.sign(multipart("mixed", text("first\n"), second), l.Alice))
			}},
	}
}
