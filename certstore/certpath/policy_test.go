package certpath

import (
	"slices"
	"testing"
)

// TestPolicyGraph asks the graph alone, where any policy and policies by name meet.
func TestPolicyGraph(t *testing.T) {
	const p1, p2, p9 OID = "\x2a\x01", "\x2a\x02", "\x2a\x09"
	type step struct {
		policies []OID
		mappings []PolicyMapping
		inhibit  bool // neither any policy nor mappings count
	}
	tests := []struct {
		what  string
		steps []step
		want  []OID // nil: the graph is NULL
	}{
		{"by name before any policy", []step{{[]OID{p1, OIDAnyPolicy}, []PolicyMapping{{p1, p9}}, false}, {[]OID{p9}, nil, false}}, []OID{p1}},
		{"any policy stands in", []step{{[]OID{p1, OIDAnyPolicy}, nil, false}, {[]OID{p2}, nil, false}}, []OID{p2}},
		{"any policy in the end", []step{{[]OID{p1}, nil, false}, {[]OID{OIDAnyPolicy}, nil, false}}, []OID{p1}},
		{"any policy throughout", []step{{[]OID{OIDAnyPolicy}, nil, false}, {[]OID{OIDAnyPolicy}, nil, false}}, []OID{OIDAnyPolicy}},
		{"any policy inhibited", []step{{[]OID{p1}, nil, false}, {[]OID{OIDAnyPolicy}, nil, true}}, nil},
		{"mapped out of any policy", []step{{[]OID{OIDAnyPolicy}, []PolicyMapping{{p1, p9}}, false}, {[]OID{p9}, nil, false}}, []OID{p1}},
		{"mapped to two", []step{{[]OID{p1}, []PolicyMapping{{p1, p9}, {p1, p2}}, false}, {[]OID{p2, p9}, nil, false}}, []OID{p1}},
		{"two mapped to one", []step{{[]OID{p1, p2}, []PolicyMapping{{p1, p9}, {p2, p9}}, false}, {[]OID{p9}, nil, false}}, []OID{p1, p2}},
		{"mapped away", []step{{[]OID{p1}, []PolicyMapping{{p1, p9}}, false}, {[]OID{p1}, nil, false}}, nil},
		{"mapping inhibited", []step{{[]OID{p1, p2}, []PolicyMapping{{p1, p9}}, true}, {[]OID{p1, p2, p9}, nil, false}}, []OID{p2}},
		{"mapping inhibited, and nothing else there", []step{{[]OID{p1}, []PolicyMapping{{p1, p9}}, true}}, nil},
		{"nothing in common", []step{{[]OID{p1}, nil, false}, {[]OID{p2}, nil, false}}, nil},
	}
	for _, test := range tests {
		g, left := newPolicyGraph(), true
		for _, s := range test.steps {
			var policies []PolicyInformation
			for _, p := range s.policies {
				policies = append(policies, PolicyInformation{Policy: p})
			}
			left = left && g.descend(policies, !s.inhibit) && (s.mappings == nil || g.apply(s.mappings, !s.inhibit))
		}
		if left != (test.want != nil) {
			t.Errorf("%s: something is left: %v", test.what, left)
		}
		if left && !slices.Equal(g.authorityConstrained(), test.want) {
			t.Errorf("%s: %v", test.what, g.authorityConstrained())
		}
	}
}
