package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manVariables and manFiles are what every page says of the surroundings.
func manVariables() [][2]string {
	return [][2]string{
		{"SEALMAIL_HOME", "One folder for everything, as --home."},
		{"SEALMAIL_PASSPHRASE_FILE", "A file with the vault's passphrase, as --passphrase-file."},
		{"XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR", "Where things lie without --home."},
		{"PAGER", "What shows text that is longer than the screen; less where it is not set."},
		{"VISUAL, EDITOR", "What messages are written with."},
		{"NO_COLOR, TERM", "Where NO_COLOR is not empty, or TERM is dumb, nothing is coloured."},
	}
}

func manFiles() [][2]string {
	return [][2]string{
		{"$XDG_CONFIG_HOME/sealmail/config.toml", "The configuration. With --home DIR, this and all below is in DIR."},
		{"$XDG_DATA_HOME/sealmail/", "Certificates, the vault with the private keys, evidence."},
		{"$XDG_STATE_HOME/sealmail/", "The outbox."},
		{"$XDG_CACHE_HOME/sealmail/", "What can be fetched again."},
	}
}

func newManCommand(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "man [COMMAND…]",
		Short: "Print a manual page, or write all of them",
		Long: `Prints the manual page of sealmail, or of one of its commands, in the language of man(7). With -o DIR it writes
all pages into a folder: sealmail.1, sealmail-send.1 and so on. They say the same as --help. Their date is that of
$SOURCE_DATE_EPOCH, and none where that is not set, so that the same program always writes the same pages.

` + exitCodesHelp,
		Example: `  sealmail man send | man -l -
  sealmail man -o ~/.local/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := a.sourceDate()
			if err != nil {
				return err
			}
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("`sealmail --help` lists the commands", "unknown command %q", strings.Join(args, " "))
			}
			switch {
			case output != "" && len(args) > 0:
				return usagef("leave one of the two out", "man: a command is named, and -o writes all")
			case output != "":
				return a.writeManPages(cmd.Root(), output, date)
			}
			return writeManPage(a.out, target, date)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write all pages into this `folder`")
	return cmd
}

// sourceDate is the date that https://reproducible-builds.org/specs/source-date-epoch/ asks for.
func (a *app) sourceDate() (string, error) {
	word := a.getenv("SOURCE_DATE_EPOCH")
	if word == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return "", usagef("it is a count of seconds", "$SOURCE_DATE_EPOCH is %q", word)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// manCommands are those that have a page.
func manCommands(root *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(allCommands(root), func(cmd *cobra.Command) bool { return cmd.Hidden })
}

func (a *app) writeManPages(root *cobra.Command, dir, date string) error {
	if err := a.disk.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	commands := manCommands(root)
	for _, cmd := range commands {
		var page strings.Builder
		if err := writeManPage(&page, cmd, date); err != nil {
			return err
		}
		if err := a.disk.WriteFile(filepath.Join(dir, manName(cmd)+".1"), []byte(page.String()), 0o644); err != nil {
			return err
		}
	}
	a.say("%d pages in %s", len(commands), dir)
	return nil
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// roff escapes text, so that nothing in it is an order.
func roff(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case (r == '.' || r == '\'') && (i == 0 || text[i-1] == '\n'):
			b.WriteString(`\&` + string(r))
		case r >= 0x80:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// manPage writes a page, section by section.
type manPage struct {
	strings.Builder
}

func (p *manPage) section(title string) { fmt.Fprintf(p, ".SH %s\n", title) }

func (p *manPage) item(term, text string) {
	fmt.Fprintf(p, ".TP\n.B %s\n%s\n", roff(term), roff(text))
}

// text writes paragraphs; lines that are indented stay as they are.
func (p *manPage) text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		p.WriteString(".PP\n")
		as := false
		for line := range strings.SplitSeq(paragraph, "\n") {
			if indented := strings.HasPrefix(line, "  "); indented != as {
				p.WriteString(map[bool]string{true: ".RS\n.nf\n", false: ".fi\n.RE\n"}[indented])
				as = indented
			}
			if as {
				line = strings.TrimPrefix(line, "  ")
			}
			p.WriteString(roff(line) + "\n")
		}
		if as {
			p.WriteString(".fi\n.RE\n")
		}
	}
}

// cutExitCodes takes the exit codes that all commands have out of the text of one.
func cutExitCodes(long string) (rest string, found bool) {
	return strings.Replace(long, exitCodesHelp, "", 1), strings.Contains(long, exitCodesHelp)
}

// writeManPage writes the page of a command in the language of man(7).
func writeManPage(w io.Writer, cmd *cobra.Command, date string) error {
	name := manName(cmd)
	p := &manPage{}
	fmt.Fprintf(p, ".TH %s 1 \"%s\" \"sealmail\" \"sealmail manual\"\n.nh\n.ad l\n", roff(strings.ToUpper(name)), date)
	p.section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(cmd.Short))
	p.section("SYNOPSIS")
	fmt.Fprintf(p, ".B %s\n", roff(cmd.UseLine()))
	p.section("DESCRIPTION")
	description, ordinary := cutExitCodes(cmd.Long)
	exitCodes := ""
	if !ordinary {
		description, exitCodes, _ = strings.Cut(description, "Exit codes:")
	}
	if strings.TrimSpace(description) == "" {
		description = cmd.Short + "."
	}
	p.text(description)
	var below []*cobra.Command
	for _, sub := range cmd.Commands() {
		if slices.Contains(manCommands(cmd), sub) {
			below = append(below, sub)
		}
	}
	if len(below) > 0 {
		p.section("COMMANDS")
		for _, sub := range below {
			p.item(strings.TrimPrefix(manName(sub), "sealmail-"), sub.Short+", see "+manName(sub)+"(1).")
		}
	}
	p.options("OPTIONS", cmd.LocalFlags())
	if cmd.HasParent() {
		p.options("OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
	}
	p.section("EXIT STATUS")
	if exitCodes != "" {
		p.text(exitCodes)
	} else {
		for _, code := range [][2]string{
			{"0", "Done, and all that was checked is good."}, {"1", "Checked, and the answer is no."},
			{"2", "Wrong usage or configuration; nothing was attempted."}, {"3", "It could not be done."},
		} {
			p.item(code[0], code[1])
		}
	}
	for _, list := range []struct {
		title string
		items [][2]string
	}{{"ENVIRONMENT", manVariables()}, {"FILES", manFiles()}} {
		p.section(list.title)
		for _, item := range list.items {
			p.item(item[0], item[1])
		}
	}
	p.section("EXAMPLES")
	p.text("\n" + cmd.Example)
	p.section("SEE ALSO")
	see := []string{"sealmail(1)"}
	if !cmd.HasParent() {
		see = []string{"openssl-cms(1)"}
	} else if parent := cmd.Parent(); parent.HasParent() {
		see = append(see, manName(parent)+"(1)")
	}
	p.WriteString(roff(strings.Join(see, ", ")) + "\n")
	_, err := io.WriteString(w, p.String())
	return err
}

// options lists flags.
func (p *manPage) options(title string, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if first {
			p.section(title)
			first = false
		}
		value, text := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + value
		}
		p.item(term, strings.ToUpper(text[:1])+text[1:]+".")
	})
}
