package top

import (
	"os"
	"strings"
	"testing"
)

// TestDocs compares the frame in docs/top.md with what is drawn.
func TestDocs(t *testing.T) {
	const path, begin, end = "../../docs/top.md", "is drawn. -->\n\n", "\n\nKeys work"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	frame, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("found no frame in docs/top.md")
	}
	p := newPlay(t, shop(), 92, 14).seconds(9)
	want := ""
	for line := range strings.Lines(strings.TrimRight(p.screen(), "\n")) {
		want += strings.TrimRight("    "+line, " \n") + "\n"
	}
	want = strings.TrimRight(want, "\n")
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if frame != want {
		t.Errorf("got\n%s\nwant\n%s", frame, want)
	}
	for _, name := range columnNames() {
		if !strings.Contains(string(text), strings.ToUpper(name)) && name != "tube" {
			t.Errorf("docs/top.md says nothing of the column %s", strings.ToUpper(name))
		}
	}
}
