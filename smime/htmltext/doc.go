// Package htmltext turns HTML, as it comes in mail, into text to be read: paragraphs, lists, quotations and tables keep
// their form, links say where they lead, and what other readers do not show is left out and counted.
//
// It loads nothing, runs nothing, and lays nothing out. What decides whether text is seen is read from attributes and from
// style sheets with simple selectors. What would need more than that (selectors of several parts, conditions on the
// screen, comments that one reader obeys and another does not) is not guessed at: Result.Conditional says that it is there.
//
// The work is in proportion to the source: elements nest to a bounded depth, each token is looked at once or twice, and
// output and lists of findings are bounded.
//
// The text may contain any character, control characters included: who prints it on a terminal must clean it.
package htmltext
