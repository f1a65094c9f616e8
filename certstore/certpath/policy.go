package certpath

import (
	"cmp"
	"slices"
)

// policyGraph is valid_policy_graph (RFC 9618 section 5), which replaces the tree of RFC 5280 section 6.1.2: at each
// depth a policy has one node at most, with as many parents as lead to it. So the work grows with the number of policies
// that the certificates list, where the tree grows with their power.
//
// Qualifiers are not kept: nothing here acts on them.
type policyGraph struct {
	depths []map[OID]*policyNode // each but the last has nodes with children alone
}

type policyNode struct {
	policy   OID
	expected []OID
	parents  []*policyNode
	children int
	depth    int
}

// newPolicyGraph returns the graph of depth 0 (RFC 9618 section 5.2): one node that expects any policy.
func newPolicyGraph() *policyGraph {
	root := &policyNode{policy: OIDAnyPolicy, expected: []OID{OIDAnyPolicy}}
	return &policyGraph{depths: []map[OID]*policyNode{{OIDAnyPolicy: root}}}
}

func (g *policyGraph) leaves() map[OID]*policyNode { return g.depths[len(g.depths)-1] }

func (g *policyGraph) insert(policy OID, expected []OID, parents []*policyNode) {
	depth := len(g.depths) - 1
	for _, parent := range parents {
		parent.children++
	}
	g.depths[depth][policy] = &policyNode{policy: policy, expected: expected, parents: parents, depth: depth}
}

// remove takes a node without children out, and its ancestors that have none left (RFC 9618 section 5.3, step (d)(3)).
func (g *policyGraph) remove(node *policyNode) {
	for queue := []*policyNode{node}; len(queue) > 0; queue = queue[1:] {
		node := queue[0]
		delete(g.depths[node.depth], node.policy)
		for _, parent := range node.parents {
			if parent.children--; parent.children == 0 {
				queue = append(queue, parent)
			}
		}
	}
}

// descend is step (d) of RFC 9618 section 5.3 for the policies of the next certificate. It reports whether anything is
// left: a graph without leaves is NULL.
func (g *policyGraph) descend(policies []PolicyInformation, anyPolicyCounts bool) bool {
	above := g.leaves()
	expecting := make(map[OID][]*policyNode, len(above))
	for _, parent := range above {
		for _, policy := range parent.expected {
			expecting[policy] = append(expecting[policy], parent)
		}
	}
	g.depths = append(g.depths, make(map[OID]*policyNode, len(policies)))
	hasAny := false
	for _, p := range policies {
		if p.Policy == OIDAnyPolicy {
			hasAny = true
			continue
		}
		// Step (d)(1)(i), and (ii) where nobody expects it by name.
		parents := expecting[p.Policy]
		if node := above[OIDAnyPolicy]; len(parents) == 0 && node != nil {
			parents = []*policyNode{node}
		}
		if len(parents) > 0 {
			g.insert(p.Policy, []OID{p.Policy}, parents)
		}
	}
	if hasAny && anyPolicyCounts { // step (d)(2)
		for policy, parents := range expecting {
			if g.leaves()[policy] == nil {
				g.insert(policy, []OID{policy}, parents)
			}
		}
	}
	for _, node := range above { // step (d)(3)
		if node.children == 0 {
			g.remove(node)
		}
	}
	return len(g.leaves()) > 0
}

// apply is step (b) of RFC 9618 section 5.4 for the mappings of a certificate. It reports whether anything is left.
func (g *policyGraph) apply(mappings []PolicyMapping, allowed bool) bool {
	equivalent := map[OID][]OID{}
	var order []OID // so that the same input takes the same course
	for _, m := range mappings {
		if equivalent[m.IssuerDomain] == nil {
			order = append(order, m.IssuerDomain)
		}
		equivalent[m.IssuerDomain] = append(equivalent[m.IssuerDomain], m.SubjectDomain)
	}
	for _, policy := range order {
		subjects := equivalent[policy]
		slices.Sort(subjects)
		subjects = slices.Compact(subjects)
		switch node := g.leaves()[policy]; {
		case node != nil && allowed: // step (b)(1)
			node.expected = subjects
		case node != nil: // step (b)(2)
			g.remove(node)
		case allowed:
			if node := g.leaves()[OIDAnyPolicy]; node != nil {
				g.insert(policy, subjects, node.parents)
			}
		}
	}
	return len(g.leaves()) > 0
}

// authorityConstrained returns authority_constrained_policy_set (RFC 9618 section 5.5, step (g)): the policies in the
// terms of the first authority, sorted. Every node that is in the graph leads to a leaf.
func (g *policyGraph) authorityConstrained() []OID {
	set := map[OID]bool{}
	for _, nodes := range g.depths[1:] {
		for _, node := range nodes {
			if node.policy != OIDAnyPolicy && slices.ContainsFunc(node.parents, func(p *policyNode) bool { return p.policy == OIDAnyPolicy }) {
				set[node.policy] = true
			}
		}
	}
	if g.leaves()[OIDAnyPolicy] != nil {
		set[OIDAnyPolicy] = true
	}
	return sortedOIDs(set)
}

// userConstrained returns user_constrained_policy_set (RFC 9618 section 5.5, step (g)).
func userConstrained(authority, user []OID) []OID {
	if len(user) == 0 || slices.Contains(user, OIDAnyPolicy) {
		return authority
	}
	set := map[OID]bool{}
	for _, policy := range user {
		if slices.Contains(authority, policy) || slices.Contains(authority, OIDAnyPolicy) {
			set[policy] = true
		}
	}
	return sortedOIDs(set)
}

func sortedOIDs(set map[OID]bool) []OID {
	var list []OID
	for id := range set {
		list = append(list, id)
	}
	slices.SortFunc(list, cmp.Compare[OID])
	return list
}
