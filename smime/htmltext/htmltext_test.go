package htmltext_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime/htmltext"
)

// TestText converts what is all to be seen.
func TestText(t *testing.T) {
	for _, test := range []struct{ about, in, want string }{
		{"a document", "<html><head><title>t</title></head><body><p>one</p><p>two</p></body></html>", "one\n\ntwo"},
		{"white space", "  a \n\t b <b> c</b> \n", "a b c"},
		{"words in pieces", "un<b>believ</b>able, <i>really</i>!", "unbelievable, really!"},
		{"entities", "a &lt;b&gt; &amp;amp; &#x1F600; &copy", "a <b> &amp; 😀 ©"},
		{"divs", "<div>one</div><div>two<div>three</div>four</div>", "one\ntwo\nthree\nfour"},
		{"line breaks", "one<br>two<br><br>three<br></br>", "one\ntwo\n\nthree"},
		{"many line breaks", "one<br><br><br><br><br><br>two", "one\n\n\ntwo"},
		{"an empty line as mail programs write it", "<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"},
		{"a paragraph of a blank", "<p>one</p><p>&nbsp;</p><p>two</p>", "one\n\ntwo"},
		{"headings", "<h1>Head</h1>text<h2>Next<h3>One more</h3>", "Head\n\ntext\n\nNext\n\nOne more"},
		{"a line", "one<hr>two", "one\n----------\ntwo"},
		{"a list", "<p>x</p><ul><li>one<li>two</ul>y", "x\n\n- one\n- two\n\ny"},
		{"a list in a list", "<ul><li>one<ul><li>a</li><li>b</li></ul><li>two</ul>", "- one\n  - a\n  - b\n- two"},
		{"a list that begins with a list", "<ul><li><ul><li>a</ul></ul>", "- - a"},
		{"lines of an item", "<ul><li>one<br>more<p>and more</p></li><li>two</ul>", "- one\n  more\n\n  and more\n- two"},
		{"items without a list", "<li>one<li>two", "- one\n- two"},
		{"an empty item", "<ul><li></li><li>two</ul>", "- two"},
		{"numbers", "<ol><li>one<li>two<ol><li>a</ol><li>three</ol>", "1. one\n2. two\n   1. a\n3. three"},
		{"numbers from elsewhere", "<ol start=9><li>nine<li>ten<li value=20>twenty<li>more</ol>", "9. nine\n10. ten\n20. twenty\n21. more"},
		{"numbers that count down", "<ol start=2 reversed><li>two<li>one</ol>", "2. two\n1. one"},
		{"letters", "<ol type=a start=26><li>z<li>aa</ol><ol type=I start=9><li>nine</ol>", "z. z\naa. aa\n\nIX. nine"},
		{"definitions", "<dl><dt>term<dd>what it is<dt>other<dd>that</dl>", "term\n  what it is\nother\n  that"},
		{"a quotation", "<p>x</p><blockquote><p>one</p><p>two<br>lines</p></blockquote><p>y</p>", "x\n\n> one\n>\n> two\n> lines\n\ny"},
		{"a quotation in a quotation", "<blockquote>a<blockquote>b</blockquote>c</blockquote>", "> a\n>\n> > b\n>\n> c"},
		{"pre", "<pre>\n a\n   b\n\n\n\nc</pre>d", " a\n   b\n\n\n\nc\n\nd"},
		{"pre by style", "<div style='white-space: pre-wrap'>a\n  b</div>", "a\n  b"},
		{"a table", "<table border=1><tr><th>Name<th>Debit<th>Credit<tr><td>Rent<td><td>100<tr><td></td><td>5</td></table>x",
			"Name | Debit | Credit\nRent | | 100\n| 5\nx"},
		{"a table of paragraphs", "<table border=1><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><p>c</p></td><td><p>d</p></td></tr></table>", "a | b\nc | d"},
		{"a cell of several lines", "<table border=1><tr><td>a<br>b</td><td>c</td></tr></table>", "a\nb\nc"},
		{"a table for the layout", "<table><tr><td></td><td>a</td><td></td><td>b</td></tr><tr><td>c</td></tr></table>", "a | b\nc"},
		{"a table in a table", "<table><tr><td><table><tr><td>a<td>b</table></td><td>c</td></tr></table>", "a | b | c"},
		{"a caption", "<table><caption>Prices</caption><tbody><tr><td>a</td></tr></tbody></table>", "Prices\na"},
		{"cells without a row", "<table><td>a<td>b<tr><td>c</table>", "a | b\nc"},
		{"a picture", "<img src=cid:x alt=' a\nlogo '> <img src=cid:y>", "[a logo]"},
		{"signs that change the sense", "10<sup>6</sup> <s>old</s> <del><b>gone</b></del> <q>said</q> <s></s>.", "10^6 ~~old~~ ~~gone~~ “said” ."},
		{"struck out by a style", "pay <span style='text-decoration:line-through'>9000</span> <b style='text-decoration-line:underline'>10</b>", "pay ~~9000~~ 10"},
		{"where words may be divided", "con\u00adtract&ZeroWidthSpace;ed", "contracted"},
		{"unclosed", "<b>unclosed <i>tags", "unclosed tags"},
		{"blocks in what formats", "<b>a<div>b</b>c</div>d", "a\nbc\nd"},
		{"an attribute with a bracket", "<p title='>'>x", "x"},
		{"malformed tags", "a < b <3 </ > <!x> <?y?> c", "a < b <3 c"},
		{"end tags of nothing", "</div></p></table></td>a</b>b", "ab"},
		{"text after the body", "<body>a</body></html>b", "ab"},
		{"a summary", "<details><summary>more</summary>inside</details>", "more\ninside"},
		{"nothing", "", ""},
		{"aria-hidden, which eyes do not heed", "<p aria-hidden=true>seen</p>", "seen"},
		{"an unfinished tag", "a<b", "a"},
	} {
		got := htmltext.Convert(test.in, htmltext.Options{})
		if diff := cmp.Diff(htmltext.Result{Text: test.want}, got); diff != "" {
			t.Errorf("%s: %s", test.about, diff)
		}
	}
}

// TestDropped converts what is no text, and may do something.
func TestDropped(t *testing.T) {
	for _, in := range []string{
		"<script>alert(1)</script>", "<SCRIPT SRC=cid:x></SCRIPT>", "<script><!-- <script>x</script> --></script>",
		"<style>p{color:red}</style>", "<title>x</title>", "<head><base href='/'><meta http-equiv=refresh content='5'><link rel=x></head>",
		"<template></template>", "<iframe>x</iframe>", "<iframe srcdoc='<p> '></iframe>", "<noembed>x</noembed>", "<input type=hidden value=x><input><input type=checkbox value=x>",
		"<input style='display:none' value=x>", "<link rel=icon href=x>", "<style>@import 'x'</style>", "<!-- x -->", "<!-- > --><!-->", "<![CDATA[]]>", "<!--[if mso]><xml><o:x>96</o:x></xml><style>p{}</style><![endif]-->",
		"<p onclick='x()' onmouseover=y></p>", "<embed type=x>", "<table><colgroup> <col></colgroup></table>",
	} {
		got := htmltext.Convert("a"+in+"b", htmltext.Options{})
		if text := strings.Join(strings.Fields(got.Text), ""); text != "ab" || got.Hidden+got.Remote > 0 || got.Conditional || got.Swallowed {
			t.Errorf("%s: %+v", in, got)
		}
	}
	// What others show of these is not known: it is left out, and said.
	for _, in := range []string{
		"<button>x</button>", "<select><option>x</select>", "<textarea>x</textarea>", "<noscript>x</noscript>", "<object>x</object>", "<svg><text>x</text></svg>",
		"<math><mi>x</mi></math>", "<video>x</video>", "<canvas>x</canvas>", "<svg><style></svg>", "<!--[if mso]><p>x</p><![endif]-->", "<bdo dir=rtl></bdo>",
		"<span style='unicode-bidi:bidi-override'></span>", "<template><p>x</p></template>", "<datalist><option>x</datalist>", "<ruby><rp>x</rp></ruby>", "<frameset>x</frameset>",
		"<input value=x>", "<input type=submit value=x>", "<input placeholder=x>", "<iframe srcdoc='<p>x'></iframe>", "<iframe src='data:text/html,x'></iframe>",
		"<object data='cid:x'></object>", "<embed src=data:x>", "<link rel=stylesheet href='data:text/css,x'>", "<style>@import 'cid:x'</style>", "<style>@import url( data:x)</style>",
	} {
		got := htmltext.Convert("a"+in+"b", htmltext.Options{})
		if text := strings.Join(strings.Fields(got.Text), ""); text != "ab" || !got.Conditional && !strings.Contains(in, "<svg><style>") {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestHidden converts text that is not to be seen: each piece has five letters of it, and ends before "seen".
func TestHidden(t *testing.T) {
	for _, in := range []string{
		"<p hidden>ghost</p>", "<dialog>ghost</dialog>",
		"<p style='display:none'>ghost</p>", "<p style='DISPLAY : NONE !important'>ghost</p>", `<p style='dis\70lay:n\6fne'>ghost</p>`, "<p style='display/**/:/*;*/none'>ghost</p>",
		"<div style='display:none'><p style='display:block'>ghost</p></div>", "<p style='color:red;display:block;display:none'>ghost</p>",
		"<p style='display:none!important;display:block'>ghost</p>", "<p style=\"font-family:';';display:none\">ghost</p>",
		"<p style='visibility:hidden'>ghost</p>", "<p style='visibility:collapse'>ghost</p>", "<p style='opacity:0'>ghost</p>", "<p style='opacity:0.0%'>ghost</p>",
		"<p style='filter:opacity(0%)'>ghost</p>", "<p style='content-visibility:hidden'>ghost</p>",
		"<p style='font-size:0'>ghost</p>", "<p style='font-size:1px'>ghost</p>", "<p style='font-size:.5pt'>ghost</p>", "<p style='font-size:0em'>ghost</p>", "<p style='font-size:3%'>ghost</p>",
		"<p style='font-size:0.2em'><i style='font-size:0.2em'>ghost</i></p>", "<p style='font:0/0 a'>ghost</p>", "<p style='font:italic 700 1px/1 serif'>ghost</p>",
		"<p style='color:transparent'>ghost</p>", "<p style='color:white'>ghost</p>", "<p style='color:#fff'>ghost</p>", "<p style='color:#FEFEFE'>ghost</p>", "<font color=white>ghost</font>",
		"<font color=ffffff>ghost</font>", "<p style='color:rgb(255,255,255)'>ghost</p>", "<p style='color:rgba(0 0 0 / 0%)'>ghost</p>", "<p style='color:hsl(120,50%,100%)'>ghost</p>",
		"<p style='color:snow'>ghost</p>", "<p style='-webkit-text-fill-color:transparent'>ghost</p>",
		"<table bgcolor=black><tr><td style='color:#000'>ghost</table>", "<div style='background:red none'><p style='color:red'>ghost</p></div>",
		"<div style='background-color:#123456;color:#123456'>ghost</div>",
		"<p style='max-height:0;overflow:hidden'>ghost</p>", "<p style='height:1px;overflow:hidden'>ghost</p>", "<p style='width:0px;overflow-x:hidden'>ghost</p>", "<p style='max-width:0;overflow:hidden'>ghost</p>",
		"<p style='text-indent:-9999px'>ghost</p>", "<p style='text-indent:-100em'>ghost</p>", "<p style='position:absolute;left:-9999px'>ghost</p>",
		"<p style='position:fixed;top:-200em'>ghost</p>", "<p style='margin-left:-10000px'>ghost</p>", "<p style='transform:scale(0)'>ghost</p>",
		"<p style='transform:rotate(3deg) translateX(-999px)'>ghost</p>", "<p style='position:absolute;clip:rect(0 0 0 0)'>ghost</p>",
		"<p style='position:absolute;clip:rect(1px,1px,1px,1px)'>ghost</p>", "<p style='clip-path:inset(50%)'>ghost</p>", "<p style='clip-path:circle(0)'>ghost</p>",
		"<p style='clip-path:polygon(0 0,0 0,0 0)'>ghost</p>", "<p style='mso-hide:all'>ghost</p>",
		"<style>p{display:none}</style><p>ghost</p>", "<style>.x{display:none}</style><p class='y x'>ghost</p>", "<style>#x{display:none}</style><p id=x>ghost</p>",
		"<style>p.x,h1{display:none}</style><p class=x>ghost</p>", "<style>b#x{display:none}</style><b id=x>ghost</b>", "<style>*{font-size:0}</style><span style='font-size:0'>ghost</span><style>*{font-size:12px}</style>",
		"<p class=x>ghost</p><style>.x{display:none}</style>", "<style><!-- .x{display:none} --></style><p class=x>ghost</p>", "<style>/* .x{} */ .X{display:none}</style><p class=x>ghost</p>",
		"<style media=all>.x{display:block} .x{display:none}</style><p class=x>ghost</p>", "<style>.x{display:none!important}</style><p class=x style='display:block'>ghost</p>",
		"<style>@font-face{x:y} @import 'z'; .x{display:none}</style><p class=x>ghost</p>",
		"<style>p{display:block} .x{display:none}</style><p class=x>ghost</p>",
		"<p style='display:none'>gh<b>os</b>t</p>", "<p style='display:none'><img src=cid:x alt=ghost></p>", "<ul style='display:none'><li>ghost</ul>",
		"<table><tr style='display:none'><td>ghost</table>",
		// A browser passes over what it does not understand.
		"<p style='display:none;display:any'>ghost</p>", "<p style='visibility:hidden;visibility:no'>ghost</p>", "<p style='opacity:0;opacity:x'>ghost</p>",
		"<p style='font-size:0;font-size:9foo'>ghost</p>", "<p style='color:white;color:whitish'>ghost</p>",
		"<p style='position:absolute;left:-9999px;left:x'>ghost</p>", "<p style='position:absolute;left:-9999px;position:x'>ghost</p>", "<p style='text-indent:-999px;text-indent:y'>ghost</p>",
		"<p style='max-height:0;overflow:hidden;overflow:1'>ghost</p>", "<p style='content-visibility:hidden;content-visibility:x'>ghost</p>",
		"<style>.x{display:none}</style><style>.x{display:any}</style><p class=x>ghost</p>",
		"<p style='margin:-9999px'>ghost</p>", "<p style='margin:0 0 0 -9999px'>ghost</p>", "<p style='margin:0 -9999px 3px'>ghost</p>", "<p style='position:absolute;inset:-9999px auto auto 0'>ghost</p>",
		"<p style='position:absolute;inset:0 -9999px 0 0'>ghost</p>", "<p style='position:absolute;inset:0 0 -9999px'>ghost</p>", "<p style='zoom:0'>ghost</p>", "<p style='scale:0 1'>ghost</p>",
		"<p style='translate:-9999px'>ghost</p>", "<p style='transform:matrix(0,0,0,0,9,9)'>ghost</p>", "<p style='color:canvas'>ghost</p>",
		"<table><tr><td><style>tbody{display:none}</style>ghost</table>",
	} {
		got := htmltext.Convert("seen"+in+"seen", htmltext.Options{})
		if text := strings.Join(strings.Fields(got.Text), ""); text != "seenseen" || got.Hidden != len("ghost") {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestSeen converts text that looks as if it were hidden, and is not: a reader must not lose it.
func TestSeen(t *testing.T) {
	for _, in := range []string{
		"<p style='visibility:hidden'><b style='visibility:visible'>text</b></p>", "<div style='font-size:0'><p style='font-size:14px'>text</p></div>",
		"<p style='display:none;display:block'>text</p>", "<p hidden style='display:block'>text</p>", "<dialog open>text</dialog>",
		"<div style='background:#000;color:#fff'>text</div>", "<body bgcolor=navy><font color=white>text</font>", "<div style='background:url(cid:x) white;color:white'>text</div>",
		"<div style='background-image:linear-gradient(red,blue);color:white'>text</div>", "<div style='color:white'><a href=cid:x>text</a></div>",
		"<table bgcolor=black><tr><td><font color=white>text</table>", "<p style='color:lab(100% 0 0)'>text</p>", "<p style='color:currentcolor;background:none'>text</p>",
		"<p style='overflow:hidden'>text</p>", "<p style='max-height:0'>text</p>", "<p style='text-indent:-20px'>text</p>", "<p style='position:absolute;left:-9px'>text</p>",
		"<p style='left:-9999px'>text</p>", "<p style='text-indent:-9999px'><b style='text-indent:0'>text</b></p>", "<p style='opacity:0.9'>text</p>", "<p style='clip-path:inset(10%)'>text</p>",
		"<p style='transform:scale(0.9)'>text</p>", "<p style='font:700 12px/0 serif'>text</p>", "<p data-style='display:none'>text</p>",
		"<style>p{display:none} .x{display:block}</style><p class=x>text</p>", "<style>.x{display:none}</style><p style='display:block' class=x>text</p>",
		"<style>#x{display:block} p.x{display:none}</style><p class=x id=x>text</p>", "<!DOCTYPE html><style>.X{display:none}</style><p class=x>text</p>",
		"<p style='display:none'><div>text</div>", "<p style='display:none'><p>text", "<!DOCTYPE html><p style='display:none'><table><tr><td>text</table>",
		"<h1 style='display:none'></h1>text", "<b style='display:none'><div></b>text</div>", "<table style='display:none'>text</table>", "<table style='display:none'><div>text</div></table>",
		"<tr style='display:none'>text</tr>", "<svg><p>text", "<div><video></div>text", "<a hidden><a>text", "<span style='display:none'></span>text", "<o:p style='display:none'></o:p>text",
		"<div style='display:none'/></div>text", "<br style='display:none'>text", "<p style='display:none'></p>text", "<select></select>text", "<style></style>text", "<b><div style='display:none'></div></b>text",
		"<table><colgroup>text<tr><td></table>", "<table><colgroup><col><b>text</b></table>", "<table><colgroup style='display:none'>text</table>",
		"<p style='display:none;display:table-cell'>text</p>", "<p style='color:white;color:red'>text</p>", "<p style='margin:-9999px;margin:0 auto'>text</p>", "<p style='margin:1px 2px 3px 4px 5px'>text</p>",
		"<p style='position:static;inset:-9999px'>text</p>", "<p style='zoom:1;scale:1;translate:0 3px;transform:matrix(1,0,0,1,0,0)'>text</p>", "<body bgcolor=black text=white>text",
		"<td style='display:none'>text</td>", "<p style=\"display:'none'\">text</p>", "<p style='display:none" + "x'>text</p>", "<p style='display:;none'>text</p>",
	} {
		if got := htmltext.Convert(in, htmltext.Options{}); got.Text != "text" || got.Hidden > 0 {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestConditional says where readers differ, and only there.
func TestConditional(t *testing.T) {
	const p = "<p class=x>text</p>"
	for _, test := range []struct {
		in   string
		want bool
	}{
		{"<style>@media print{.x{display:none}}</style>" + p, true},
		{"<style>@media(max-width:600px){p{font-size:0}}</style>" + p, true},
		{"<style media=print>.x{display:none}</style>" + p, true},
		{"<style>@supports (x:y){@media z{.x{opacity:0}}}</style>" + p, true},
		{"<style>p[class=x]{display:none}</style>" + p, true},
		{"<style>div > p{display:none}</style>" + p, true},
		{"<style>p:hover{visibility:hidden}</style>" + p, true},
		{"<style>.x.y{display:none}</style>" + p, true},
		{"<style>p{ .x &{display:none} }</style>" + p, true},
		{"<style>.x::after{content:' not'}</style>" + p, true},
		{"<style>.h{display:none} @media screen{.h{display:block}}</style>" + p + "<p class=h>x</p>", true},
		{"<style>" + strings.Repeat("x", 10) + "{}@media screen{.h{display:block}}</style>" + p, false},
		{"<style>@media print{.x{color:red;width:100%!important}}</style>" + p, false},
		{"<style>@media (prefers-color-scheme:dark){.x{color:#fff;background:#000}}</style>" + p, false},
		{"<style>a:hover{color:red} .x::before{content:''}</style>" + p, false},
		{"<style>@keyframes k{from{opacity:0}}</style>" + p, false},
		{"<!--[if mso]><table><tr><td width=600><![endif]-->" + p + "<!--[if mso]></td></tr></table><![endif]-->", false},
		{"<!--[if mso]>text<![endif]-->" + p, true},
		{"<![if !mso]>" + p + "<![endif]>", false},
		{strings.Repeat("<div>", 300) + "<p style='display:none'>text</p>", true},
		{"<style>.x{display:none}</style>" + strings.Repeat("<div>", 300) + p, true},
		{strings.Repeat("<div>", 300) + p, false},
		{"<p style='color:var(--c)'>text</p>", true},
		{"<style>.x{opacity:calc(0 * 1)}</style>" + p, true},
		{"<style>.y{opacity:calc(0 * 1)}</style>" + p, false},
		{"<style>p > i{font-size:calc(0px)}</style>" + p, true},
		{"<p style='margin:0 calc(-1px * 9999)'>text</p>", true},
		{"<p style='position:absolute;left:calc(0px - 9999px)'>text</p>", true},
		{"<p style='margin:0 calc(50% - 20px);width:calc(100% - 300px)'>text</p>", false},
		{"<p><body style='display:none'>text", true},
		{"<p><body>text", false},
	} {
		if got := htmltext.Convert(test.in, htmltext.Options{}); got.Conditional != test.want || got.Text != "text" {
			t.Errorf("%s: %+v", test.in, got)
		}
	}
}

// TestWholeDocument: what is declared for elements that no document can be without counts, whether they are opened or not.
func TestWholeDocument(t *testing.T) {
	for _, in := range []string{
		"<style>html{display:none}</style><p>ghost", "<style>body{opacity:0}</style>ghost", "<style>body{color:#fff}</style><body>ghost", "<body text=white>ghost",
		"<style>tbody{display:none}</style><table><tr><td>ghost</table>", "<style>tbody{display:none}</style><table><td>ghost</table>",
	} {
		if got := htmltext.Convert(in, htmltext.Options{}); got.Text != "" || got.Hidden != len("ghost") {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

func TestLinks(t *testing.T) {
	link := func(href, text string) string { return `<a href="` + href + `">` + text + `</a>` }
	for _, test := range []struct {
		in, want, named, target string
	}{
		{link("https://a.example/x?y=1&amp;z", "here"), "here <https://a.example/x?y=1&z>", "", ""},
		{link("https://a.example/", "https://a.example/"), "https://a.example/", "", ""},
		{link("https://a.example/", "a.example"), "a.example", "", ""},
		{link("http://www.a.example", "A.example"), "A.example", "", ""},
		{link("mailto:a@b.example", "a@b.example"), "a@b.example", "", ""},
		{link("tel:+49", "call"), "call <tel:+49>", "", ""},
		{link("https://evil.example/", "https://bank.example/"), "https://bank.example/ <https://evil.example/>", "bank.example", "evil.example"},
		{link("https://evil.example/", "bank.example"), "bank.example <https://evil.example/>", "bank.example", "evil.example"},
		{link("https://evil.example/", "see <b>www.</b>bank.example now"), "see www.bank.example now <https://evil.example/>", "www.bank.example", "evil.example"},
		{link("https://bank.example@evil.example/", "bank.example"), "bank.example <https://bank.example@evil.example/>", "bank.example", "evil.example"},
		{link("https://evil.example\\@bank.example", "bank.example"), `bank.example <https://evil.example\@bank.example>`, "bank.example", "evil.example"},
		{link("https:/evil.example:444", "bank.example:444"), "bank.example:444 <https://evil.example:444>", "bank.example", "evil.example"},
		{link("ht\ntps://evil.example/", "bank.example"), "bank.example <https://evil.example/>", "bank.example", "evil.example"},
		{link("https://192.0.2.1/", "bank.example"), "bank.example <https://192.0.2.1/>", "bank.example", "192.0.2.1"},
		{link("mailto:x@evil.example", "info@bank.example"), "info@bank.example <mailto:x@evil.example>", "bank.example", "evil.example"},
		{link("https://login.bank.example/", "bank.example"), "bank.example <https://login.bank.example/>", "", ""},
		{link("https://bank.example.evil.example/", "bank.example"), "bank.example <https://bank.example.evil.example/>", "bank.example", "bank.example.evil.example"},
		{link("https://b\u00fccher.example/", "b\u00fccher.example"), "b\u00fccher.example", "", ""},
		{link("https://b\u00fccher.example/x", "x"), "x <https://b\u00fccher.example/x>", "", ""},
		{link("https://p\u0430ypal.example/x", "paypal.example"), "paypal.example <https://xn--pypal-4ve.example/x>", "paypal.example", "xn--pypal-4ve.example"},
		{link("https://\u0430\u0440\u0440\u04cf\u0435.example/", "x"), "x <https://xn--80ak6aa92e.example/>", "", ""},
		{link("https://files.example/1", "report.pdf"), "report.pdf <https://files.example/1>", "", ""},
		{link("https://a.example/", "e.g. this... 3.14"), "e.g. this... 3.14 <https://a.example/>", "", ""},
		{link("javascript:alert(1)", "x"), "x", "", ""},
		{link("&#1;java\nscript:alert(1)", "x"), "x", "", ""},
		{link("data:text/html,x", "x"), "x", "", ""},
		{link("vbscript:x", "x") + link("file:///etc/passwd", "y") + link("#top", "z") + link("/path", "w"), "xyzw", "", ""},
		{link("https://a.example/", "<img src=cid:x alt=Shop>"), "[Shop] <https://a.example/>", "", ""},
		{link("https://a.example/", "<img src=cid:x>"), "<https://a.example/>", "", ""},
		{link("https://a.example/", ""), "", "", ""},
		{"<a name=y>z</a>w", "zw", "", ""},
		{"<p>" + link("https://a.example/", "<div>one</div><div>two</div>") + "three", "one\ntwo <https://a.example/>\nthree", "", ""},
		{"<a href=https://a.example>one<a href=https://b.example>two", "one <https://a.example>two <https://b.example>", "", ""},
		{"<a href=https://a.example>one <div>two</a>three</div>", "one\ntwo <https://a.example>three", "", ""},
		{"<a href=https://a.example/ style='display:none'>x</a>y", "y", "", ""},
		{link("https://a.example/"+strings.Repeat("x", 5000), "y"), "y <https://a.example/" + strings.Repeat("x", 2000-len("https://a.example/")) + "…>", "", ""},
		{link("https://u\u202egpj.example/", "x"), "x <https://u\u202egpj.example/>", "", ""}, // it is the terminal's part to show that
	} {
		got := htmltext.Convert(test.in, htmltext.Options{})
		var links []htmltext.Link
		if test.named != "" {
			links = []htmltext.Link{{Named: test.named, Target: test.target}}
		}
		if diff := cmp.Diff(links, got.Links); diff != "" || !strings.HasPrefix(test.want, got.Text[:min(len(got.Text), 5)]) || !strings.Contains(test.in, "gpj") && got.Text != test.want {
			t.Errorf("%.200s: %q, want %q %s", test.in, got.Text, test.want, diff)
		}
	}
	var many strings.Builder
	for i := range 100 {
		many.WriteString(link("https://evil.example/", "www"+strings.Repeat("w", i)+".bank.example"))
	}
	if got := htmltext.Convert(many.String(), htmltext.Options{}); len(got.Links) != 20 {
		t.Errorf("%d links", len(got.Links))
	}
}

// TestRemote counts what other readers would load.
func TestRemote(t *testing.T) {
	const at = "http://tracker.example/x"
	for in, want := range map[string]int{
		"<img src=" + at + ">": 1, "<img src='//tracker.example/x'>": 1, "<img src=HTTPS://tracker.example>": 1, "<img src=' \nhttp://x'>": 1, "<img src='ht\ntp://x'>": 1,
		"<img src=cid:x><img src=data:image/png;base64,AA><img src=x.png><a href=" + at + ">": 0, `<img src='\\host\share'>`: 1, "<img src=file://host/x>": 1,
		"<img srcset='" + at + " 1x, " + at + " 2x'>": 2, "<table background=" + at + ">": 1, "<link rel=stylesheet href=" + at + ">": 1, "<script src=" + at + "></script>": 1,
		"<video poster=" + at + " src=" + at + "><source src=" + at + "></video>": 3, "<iframe src=" + at + ">": 1, "<object data=" + at + ">": 1, "<embed src=" + at + ">": 1,
		"<input type=image src=" + at + ">": 1, "<svg><image xlink:href=" + at + "></svg>": 1, "<audio src=" + at + ">": 1, "<meta http-equiv=refresh content='0; URL=" + at + "'>": 1,
		"<p style='background:url(" + at + ")'>": 1, "<p style='background:URL( \"" + at + "\" )'>": 1, `<p style='background:u\72l(` + at + `)'>`: 1,
		"<style>@import '" + at + "'; @import url(" + at + "); p{background:url(" + at + ")} @media x{@font-face{src:url(" + at + ")}}</style>": 4,
		"<div style='display:none'><img src=" + at + "></div>": 1, "<base href=http://tracker.example/><img src=x><img src=y><img src=cid:z><img src='#a'>": 2, "<!-- <img src=" + at + "> -->": 0,
		"<form action=" + at + ">": 0,
	} {
		if got := htmltext.Convert(in, htmltext.Options{}); got.Remote != want {
			t.Errorf("%s: %d, want %d", in, got.Remote, want)
		}
	}
}

// TestSwallowed looks for what takes text along to somewhere else (EFAIL).
func TestSwallowed(t *testing.T) {
	for in, want := range map[string]bool{
		`<img src="http://evil.example/` + "\r\nthe text<br>":                         true,
		`<img src="http://evil.example/` + "\r\nthe text\r\nin\r\nlines" + `">`:       true,
		`<img src='http://evil.example/<p>the text</p>'>`:                             true,
		`<img src="http://evil.example/` + "the text</p>\n" + `<p class="x">more</p>`: true,
		`<a href="http://evil.example/<b>the text</b>">click</a>`:                     true,
		`<form action="http://evil.example/<b>the text</b>">`:                         true,
		`<style>p{background:url("http://evil.example/<b>the text</b>")}</style>`:     true,
		`<style>@import 'http://evil.example/` + "\na\nb\nc\n" + `'</style>`:          true,
		`<p style="background:url(http://evil.example/<b>the text</b>)">`:             true,
		`<img src="http://a.example/x y">`:                                            false,
		`<a href="http://a.example/` + "\n x" + `">folded</a>`:                        false,
		`<img alt="1 < 2 <b>">`:                       false,
		`<a href="javascript:document.write('<b>')">`: false,
		`<img src="data:image/svg+xml,<svg>">`:        false,
		"<p>a < b":                                    false,
		"<p>text<img src=x alt='y'":                   false,
	} {
		if got := htmltext.Convert(in, htmltext.Options{}); got.Swallowed != want {
			t.Errorf("%s: %v", in, got.Swallowed)
		}
	}
}

func TestDropClass(t *testing.T) {
	in := "<body><div class='x old-header'><pre>Subject: inner</pre><div>y</div></div><p class=old-header>text</p></body>"
	if got := htmltext.Convert(in, htmltext.Options{DropClass: "old-header"}); got.Text != "text" || got.Hidden > 0 {
		t.Errorf("%+v", got)
	}
	if got := htmltext.Convert(in, htmltext.Options{DropClass: "old-header"}); got.Dropped != "Subject: inner\n\ny" {
		t.Errorf("%q was dropped", got.Dropped)
	}
	for in, want := range map[string]string{
		"<div class=old>a<b>b</b>\n c<br>d<p>e</div>f": "ab  c\nd\ne", "<div class=old><p hidden>a</p><img alt=b></div>": "a\nb",
		"<div class=old><title>a</title></div>": "", "<div class=old>a</div><div class=old>b</div>": "a\n\nb", "a": "",
	} {
		if got := htmltext.Convert(in, htmltext.Options{DropClass: "old"}); got.Dropped != want {
			t.Errorf("%s: %q was dropped", in, got.Dropped)
		}
	}
	if got := htmltext.Convert(in, htmltext.Options{}); got.Dropped != "" || !strings.Contains(got.Text, "inner") {
		t.Errorf("%+v", got)
	}
}

func TestLimit(t *testing.T) {
	for in, want := range map[string]string{
		strings.Repeat("x", 100):                  strings.Repeat("x", 50),
		strings.Repeat("<blockquote>", 4) + "x y": "> > > > x",
		"<p>short</p>":                            "short",
		strings.Repeat("<li>", 12) + "\u20ac\u20ac\u20ac\u20ac\u20ac": "- \uFFFD",
	} {
		if got := htmltext.Convert(in, htmltext.Options{Limit: 50}); got.Text != want && !(strings.HasPrefix(in, "<bl") && got.Text == "> > > > x y") || got.Truncated != (len(in) > 50) {
			t.Errorf("%s: %+v", in, got)
		}
	}
	if got := htmltext.Convert(strings.Repeat("<blockquote>", 100)+"x", htmltext.Options{}); got.Text != strings.Repeat("> ", 20)+"x" {
		t.Errorf("%q", got.Text) // deeper than that nobody counts
	}
	// Text may be longer than its source: each line of a quotation has a prefix.
	in := strings.Repeat("<blockquote>", 20) + strings.Repeat("x<br>", 1000)
	if got := htmltext.Convert(in, htmltext.Options{Limit: 10_000}); len(got.Text) > 11_000 || !got.Truncated {
		t.Errorf("%d octets of text, %v", len(got.Text), got.Truncated)
	}
}

// TestHostile converts a mebibyte of what makes converters slow. The work is in proportion to the source, times the depth
// of the stack at most, which is bounded: where it were in proportion to its square, the test would not end.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("<div>", 250)
	for before, repeated := range map[string][]string{
		"": {"<div>", "<a", "<a href=x>", "<a href=https://x.example/>y.example", "<table>", "<table><tr><td>", "<style>a{color:red}", "</div>", "<b><div></b>", "<blockquote>x",
			"<blockquote><br>x</blockquote>", "<ul><li>x", "<p><b>", "<font color=red>x", "&nbsp;", "&", "<!--", "<!--[if mso]><b><![endif]-->", "<p style='", "<svg><p>", "<svg>",
			"<select>", "<sup>x", "<del>", "<tr><td>", "<table><div>", "<script>", "<textarea>", "<plaintext>", "\x00", "\u00e9", "<", "</", "<!", "<?", "<a b='", "<img src=x srcset='a,b,c,d'>",
			"<a href=https://" + strings.Repeat("\u00e9.", 30) + ">x.y</a>", "<marquee></b>", "<object><p>"},
		deep:                                         {"</b></b>", "<b></b>", "x<br>", "<p>", "</p>"},
		strings.Repeat("<b>", 120) + deep[:500]:      {"</b><b>", "</i>"},
		strings.Repeat("<blockquote>", 200):          {"x<br>"},
		strings.Repeat("<blockquote>", 20) + "<pre>": {"\n", "x\n", " "},
		"<style>":                                    {"a{color:red}", "a,", ".a{", "{}", "}", ".a,.b{display:none;color:red;opacity:0}", "@media x{", "\\", "/*", "url(", "url('", "'", "(", ".a.b,"},
		"<style>.a{display:none}</style>":            {"<p class=a>x", "<p class='a a a a'>"},
		"<p class='":                                 {"a ", "\u00e9 "},
		"<p ":                                        {"a=b ", "a ", "src=x ", "style=a:b "},
		"<p style='":                                 {"a:url(", "url(x", `url("`, "/*", ";", "a:b;", "\\0 "},
		"<img srcset='":                              {"a,", "//x,"},
		"<a href='https://":                          {"a.", "\u00e9.", "\u10d0", "@", ":"},
		"<a href=https://x.example>":                 {"y.example ", "> "},
		"<table border=1><tr>":                       {"<td>", "<td>x"},
	} {
		for _, r := range repeated {
			in := before + strings.Repeat(r, (htmltext.DefaultLimit-len(before))/len(r))
			got := htmltext.Convert(in, htmltext.Options{})
			if len(got.Text) > htmltext.DefaultLimit+4096 || !utf8.ValidString(got.Text) {
				t.Errorf("%.20s… %s…: %d octets of text", before, r, len(got.Text))
			}
		}
	}
}

// TestLongHost: a host that is longer than any can be is not brought into A-labels, which would take minutes.
func TestLongHost(t *testing.T) {
	var host strings.Builder
	for c := rune(0x4e00); c < 0x9fff; c++ {
		host.WriteRune(c)
	}
	start := time.Now()
	got := htmltext.Convert("<a href='https://"+host.String()+".test/'>example.test</a>", htmltext.Options{})
	if took := time.Since(start); took > time.Second || len(got.Links) != 1 {
		t.Errorf("took %s, and %d links differ", took, len(got.Links))
	}
}

// FuzzConvert holds the text to what is promised of it: it is bounded and valid, and what it is made of was in the source.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		newsletter()[:2000], "<p style='display:none'>x</p>y", "<ul><li>a<ol start=3><li>b</ul>", "<table border=1><tr><td>a<td>b</table>", "<blockquote>a<blockquote>b",
		"<a href=https://x.example>y.example</a>", "<b><div></b>x", "<svg><p>x", "<style>.a,p#b{display:none!important} @media x{*{opacity:0}}</style><p class=a>", "<pre>\n a\n</pre>",
		"<!--[if mso]>x<![endif]-->", "<img src=\"http://x/\nabc", "<select><option>", "<table><div>x<tr>y", "\xff\u00ad&nbsp;&zwnj;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := htmltext.Convert(in, htmltext.Options{Limit: 1 << 14})
		if !utf8.ValidString(got.Text) || len(got.Text) > 1<<14+len(in)+4096 {
			t.Fatalf("%d octets of text", len(got.Text))
		}
		if strings.TrimRight(got.Text, " \t\n") != got.Text {
			t.Fatalf("white space at the end of %q", got.Text)
		}
		// All that is in a hidden element is hidden, whatever it is, if it cannot end the element.
		hidden := htmltext.Convert("<noscript>"+strings.ReplaceAll(in, "<", "")+"</noscript>", htmltext.Options{Limit: 1 << 15})
		if hidden.Text != "" && !hidden.Truncated {
			t.Fatalf("%q comes out of what is dropped", hidden.Text)
		}
		if again := htmltext.Convert(in, htmltext.Options{Limit: 1 << 14}); again.Text != got.Text {
			t.Fatal("not the same twice")
		}
	})
}
