package tsa_test

import (
	"bytes"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// Places of the members of a TSTInfo, where all but the optional ones are there.
const (
	atSerial  = 3
	atGenTime = 4
	atRest    = 5
)

// content puts other members into the TSTInfo, which is signed as it then is.
func content(change func(members [][]byte) [][]byte) func(*tsatest.Token, *environment) {
	return func(k *tsatest.Token, e *environment) {
		der, err := k.Info.Marshal()
		if err != nil {
			e.t.Fatal(err)
		}
		k.Content = tsatest.Sequence(change(members(e, der))...)
	}
}

// members are the encoded members of a SEQUENCE.
func members(e *environment, der []byte) (list [][]byte) {
	input := cryptobyte.String(der)
	var seq, element cryptobyte.String
	var tag cbasn1.Tag
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) {
		e.t.Fatal("no SEQUENCE")
	}
	for !seq.Empty() {
		if !seq.ReadAnyASN1Element(&element, &tag) {
			e.t.Fatal("no element")
		}
		list = append(list, element)
	}
	return list
}

// instead puts an element in the place of a member.
func instead(at int, element ...byte) func(*tsatest.Token, *environment) {
	return content(func(list [][]byte) [][]byte { list[at] = element; return list })
}

// behind puts an element behind the time, where the optional members are.
func behind(element ...byte) func(*tsatest.Token, *environment) {
	return content(func(list [][]byte) [][]byte { return slices.Insert(list, atRest, element) })
}

// genTime is a time in these words.
func genTime(tag byte, words string) func(*tsatest.Token, *environment) {
	return instead(atGenTime, append([]byte{tag, byte(len(words))}, words...)...)
}

const (
	generalizedTime = 0x18
	utcTime         = 0x17
)

// malformedContent are TSTInfos that an authority signed as they are here, and that nobody should read.
func malformedContent(name, section string, token func(*tsatest.Token, *environment)) hostile {
	return hostile{name: name, section: section, rule: tsa.ErrMalformed, code: tsa.CodeBroken, token: token}
}

var hostileContents = []hostile{
	{name: "version 0 of TSTInfo", rule: tsa.ErrVersion, code: tsa.CodeBroken, token: instead(0, 2, 1, 0)},
	malformedContent("no policy", "", content(func(list [][]byte) [][]byte { return slices.Delete(list, 1, 2) })),
	malformedContent("no serial number", "", content(func(list [][]byte) [][]byte { return slices.Delete(list, atSerial, atSerial+1) })),
	malformedContent("serial number of 65 octets", "of our own", instead(atSerial, append([]byte{2, 65, 1}, make([]byte, 64)...)...)),
	malformedContent("serial number with a needless octet", "X.690 section 8.3.2", instead(atSerial, 2, 3, 0, 0x12, 0x67)),
	malformedContent("no time", "", content(func(list [][]byte) [][]byte { return slices.Delete(list, atGenTime, atGenTime+1) })),
	malformedContent("time without Z", "", genTime(generalizedTime, "20261121100213")),
	malformedContent("time with a zone", "", genTime(generalizedTime, "20261121100213+0000")),
	malformedContent("time with a small z", "", genTime(generalizedTime, "20261121100213z")),
	malformedContent("time without seconds", "", genTime(generalizedTime, "202611211002Z")),
	malformedContent("time whose fraction ends with a zero", "", genTime(generalizedTime, "20261121100213.50Z")),
	malformedContent("time whose fraction is empty", "", genTime(generalizedTime, "20261121100213.Z")),
	malformedContent("time with a comma", "", genTime(generalizedTime, "20261121100213,5Z")),
	malformedContent("time with a fraction of ten digits", "of our own", genTime(generalizedTime, "20261121100213.0000000001Z")),
	malformedContent("time of no day", "", genTime(generalizedTime, "20260229100213Z")),
	malformedContent("time in a leap second", "of our own", genTime(generalizedTime, "20261121235960Z")),
	malformedContent("time as UTCTime", "", genTime(utcTime, "261121100213Z")),
	malformedContent("accuracy of 0 milliseconds", "", behind(0x30, 3, 0x80, 1, 0)),
	malformedContent("accuracy of 1000 milliseconds", "", behind(0x30, 4, 0x80, 2, 0x03, 0xe8)),
	malformedContent("accuracy of 0 microseconds", "", behind(0x30, 3, 0x81, 1, 0)),
	malformedContent("accuracy of 1000 microseconds", "", behind(0x30, 4, 0x81, 2, 0x03, 0xe8)),
	malformedContent("accuracy of -1 seconds", "", behind(0x30, 3, 2, 1, 0xff)),
	malformedContent("accuracy of 2³¹ seconds", "of our own", behind(0x30, 7, 2, 5, 0, 0x80, 0, 0, 0)),
	malformedContent("accuracy with something behind", "", behind(0x30, 5, 2, 1, 1, 5, 0)),
	malformedContent("ordering written as FALSE", "X.690 section 11.5", behind(1, 1, 0)),
	malformedContent("ordering of another value than FF", "X.690 section 11.1", behind(1, 1, 1)),
	malformedContent("nonce of 65 octets", "of our own", behind(append([]byte{2, 65, 1}, make([]byte, 64)...)...)),
	malformedContent("two names of the authority", "", behind(0xa0, 8, 0x82, 2, 'a', 'b', 0x82, 2, 'a', 'b')),
	malformedContent("empty extensions", "RFC 5280 section 4.1", behind(0xa1, 0)),
	malformedContent("extension with critical written as FALSE", "X.690 section 11.5",
		behind(0xa1, 12, 0x30, 10, 6, 2, 0x2a, 3, 1, 1, 0, 4, 1, 0)),
	malformedContent("member that nobody knows", "", behind(5, 0)),
	malformedContent("members in another order", "", content(func(list [][]byte) [][]byte {
		list[atSerial], list[atGenTime] = list[atGenTime], list[atSerial]
		return list
	})),
	malformedContent("TSTInfo in BER", "RFC 3161 section 2.4.2", func(k *tsatest.Token, e *environment) {
		der, err := k.Info.Marshal()
		if err != nil {
			e.t.Fatal(err)
		}
		k.Content = slices.Concat([]byte{0x30, 0x80}, bytes.Join(members(e, der), nil), []byte{0, 0})
	}),
	malformedContent("octets behind the TSTInfo", "", func(k *tsatest.Token, e *environment) {
		der, err := k.Info.Marshal()
		if err != nil {
			e.t.Fatal(err)
		}
		k.Content = append(der, 0)
	}),
}

// acceptedContents are what looks odd and is right.
var acceptedContents = []accepted{
	{name: "in BER, of indefinite length",
		raw: func(der []byte) []byte {
			var outer asn1.RawValue
			if _, err := asn1.Unmarshal(der, &outer); err != nil {
				return nil
			}
			return slices.Concat([]byte{0x30, 0x80}, outer.Bytes, []byte{0, 0})
		}},
	{name: "negative serial number", token: instead(atSerial, 2, 1, 0xff), odd: true},
	{name: "serial number of 20 octets", token: instead(atSerial, append([]byte{2, 20, 1}, make([]byte, 19)...)...), odd: true},
	{name: "time with a fraction", token: genTime(generalizedTime, "20261121100213.123456789Z"), odd: true},
	{name: "accuracy of nothing", token: behind(0x30, 0), odd: true},
	{name: "signing-time attribute of another year",
		token: func(k *tsatest.Token, _ *environment) {
			k.Signers[0].Attributes = append(k.Signers[0].Attributes, tsatest.Attribute{
				Type: tsatest.SigningTime(), Values: [][]byte{append([]byte{utcTime, 13}, time.Now().AddDate(-3, 0, 0).UTC().Format("060102150405Z")...)},
			})
		}},
	{name: "unsigned attribute that nobody knows",
		token: func(k *tsatest.Token, _ *environment) {
			k.Signers[0].Unsigned = []tsatest.Attribute{{Type: []int{1, 2, 3}, Values: [][]byte{{5, 0}}}}
		}},
	{name: "ESSCertIDv2 of the certificate, and then of another",
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificatesV2(e.cert, e.other)}
		})},
}
