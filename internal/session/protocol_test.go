package session_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spoked/internal/transcript"
	"spoked/proto"
)

// An example is a conversation in docs/protocol.md, in the notation of transcripts.
type example struct {
	name string // the page, and the line where it begins
	text string
}

// examplesIn returns the conversations of a page.
func examplesIn(page, text string) (all []example) {
	const begin, end = "```conversation\n", "```\n"
	at := 0
	for {
		i := strings.Index(text[at:], begin)
		if i < 0 {
			return all
		}
		at += i + len(begin)
		n := strings.Index(text[at:], end)
		line := 1 + strings.Count(text[:at], "\n")
		all = append(all, example{fmt.Sprintf("%s:%d", page, line), text[at : at+n]})
		at += n
	}
}

// TestProtocolPage plays the examples of docs/protocol.md, whole and in pieces, each with a
// server of its own, and wants there to be one of each command.
func TestProtocolPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	var sent strings.Builder
	for _, e := range examplesIn("protocol.md", text) {
		script, err := transcript.Parse(e.name, []byte(e.text))
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{0, 1} {
			v := newVirtual(nil, false, cut)
			if err := transcript.Run(script, v, "spoked", "1.13", "virtual"); err != nil {
				t.Error(err)
			}
			v.closeAll()
		}
		sent.WriteString(e.text)
	}
	for op := range proto.Op(proto.NumOps) {
		if op == proto.OpNone {
			continue
		}
		word := regexp.QuoteMeta(op.String())
		if !regexp.MustCompile(`(?m)^[a-z]>>? "?` + word + `\b`).MatchString(sent.String()) {
			t.Errorf("docs/protocol.md: no example of %s", op)
		}
		if !regexp.MustCompile(`(?m)^    ` + word + `( |$)`).MatchString(text) {
			t.Errorf("docs/protocol.md: %s is not described", op)
		}
		heading := regexp.MustCompile(`(?m)^### .*\b` + word + `(,| and |$| \(added\)).*$`).FindString(text)
		if marked := strings.HasSuffix(heading, "(added)"); heading == "" || marked != op.Added() {
			t.Errorf("docs/protocol.md: the heading of %s is %q, which is marked as added: %t", op, heading, marked)
		}
	}
}
