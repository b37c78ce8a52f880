package session_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spoked/internal/transcript"
	"spoked/proto"
)

// TestProtocolPage plays the examples of docs/protocol.md, whole and in pieces, each with a
// server of its own, and wants there to be one of each command.
func TestProtocolPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	examples, err := transcript.Page("protocol.md", text)
	if err != nil {
		t.Fatal(err)
	}
	var sent strings.Builder
	for _, script := range examples {
		for _, cut := range []int{0, 1} {
			v := newVirtual(nil, false, cut)
			if err := transcript.Run(script, v, "spoked", "1.13", "virtual"); err != nil {
				t.Error(err)
			}
			v.closeAll()
		}
		sent.WriteString(strings.Join(script.Sent(), "\n") + "\n")
	}
	for op := range proto.Op(proto.NumOps) {
		if op == proto.OpNone {
			continue
		}
		word := regexp.QuoteMeta(op.String())
		if !regexp.MustCompile(`(?m)^"?` + word + `\b`).MatchString(sent.String()) {
			t.Errorf("docs/protocol.md: no example of %s", op)
		}
		if !regexp.MustCompile(`(?m)^    ` + word + `( |$)`).MatchString(text) {
			t.Errorf("docs/protocol.md: %s is not described", op)
		}
		heading := regexp.MustCompile(`(?m)^### (.*, |.* and )?` + word + `(,| and |$| \(added\)).*$`).FindString(text)
		if marked := strings.HasSuffix(heading, "(added)"); heading == "" || marked != op.Added() {
			t.Errorf("docs/protocol.md: the heading of %s is %q, which is marked as added: %t", op, heading, marked)
		}
	}
}
