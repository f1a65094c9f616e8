package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
)

// TestPlainWord offers no word that a shell could take for anything else.
func TestPlainWord(t *testing.T) {
	for _, word := range []string{"INBOX", "last", "Sent Items", "Entwürfe", "受信", "a/b.c-d_e", "alice+x@example.org", "[Gmail"} {
		if got, want := plainWord(word), word != "[Gmail"; got != want {
			t.Errorf("%q: %v", word, got)
		}
	}
	for _, word := range []string{"", "-f", "$(id)", "`id`", "a;b", "a|b", "a&b", "a>b", "a<b", "a*", "a?", "~", "a'b", `a"b`, `a\b`, "a\nb", "a\tb",
		"a\x1b[31m", " a", "a ", "!x", "#x", "{a,b}", "\u202ea", "a\u200bb", "a:b", strings.Repeat("a", 321)} {
		if plainWord(word) {
			t.Errorf("%q is offered", word)
		}
	}
}

// TestCompletionOfHostileNames has folders and people called what a server likes.
func TestCompletionOfHostileNames(t *testing.T) {
	a := &app{}
	list, _ := a.complete(func(*app, *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
		return []client.Completion{{Word: "$(touch x)"}, {Word: "good", About: "\x1b]0;x\a\nsecond\tline " + strings.Repeat("w", 100)}}, 0
	}, true)(nil, nil, "")
	if len(list) != 1 || !strings.HasPrefix(list[0], "good\t") || strings.ContainsAny(list[0][5:], "\x1b\a\n\t") || len([]rune(list[0])) > 5+maxAbout {
		t.Errorf("%q", list)
	}
}

// TestCompletionScripts has shells read the scripts.
func TestCompletionScripts(t *testing.T) {
	for shell, check := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "--no-execute", "powershell": ""} {
		code, script := onDisk(t, safeio.Disk{}, "completion", shell)
		if code != exitGood || len(script) < 1000 {
			t.Fatalf("%s: exit %d, %d octets", shell, code, len(script))
		}
		if _, err := exec.LookPath(shell); err != nil || check == "" {
			continue
		}
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shell, check, path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}

// TestCompletionInBash has bash itself complete, by the script and this program.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not there")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(program, filepath.Join(bin, "sealmail")); err != nil {
		t.Skip(err)
	}
	// What bash-completion would do, without it.
	const ask = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
source <(sealmail completion bash)
COMP_WORDS=(sealmail "$@"); COMP_CWORD=$#; COMP_LINE="sealmail $*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
__start_sealmail
printf '%s\n' "${COMPREPLY[@]}"`
	for typed, want := range map[string]string{"vault st": "status", "cert trust x --for ts": "tsa", "send --header-con": "--header-confidentiality"} {
		cmd := exec.Command(bash, append([]string{"--norc", "-c", ask, "bash"}, strings.Fields(typed)...)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), asProgram+"=1")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("%s: %q, want %s; %v\n%s", typed, &out, want, err, &errs)
		}
	}
}
