package transcript

import (
	"fmt"
	"strings"
)

// Page parses the transcripts that stand on a page in Markdown, as blocks of code that
// begin with ```conversation. Each is a script of its own, whose name has the line of
// the page before its first.
func Page(name, text string) ([]*Script, error) {
	const begin, end = "```conversation\n", "```\n"
	var all []*Script
	for at := 0; ; {
		i := strings.Index(text[at:], begin)
		if i < 0 {
			return all, nil
		}
		at += i + len(begin)
		line := strings.Count(text[:at], "\n")
		n := strings.Index(text[at:], end)
		if n < 0 {
			return nil, fmt.Errorf("%s:%d: the conversation has no end", name, line)
		}
		s, err := Parse(fmt.Sprintf("%s:%d", name, line), []byte(text[at:at+n]))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		at += n
	}
}

// Sent returns the lines that clients send, as they are written in the script.
func (s *Script) Sent() (lines []string) {
	for _, st := range s.steps {
		if st.op == sendLine || st.op == sendRaw {
			lines = append(lines, st.arg)
		}
	}
	return lines
}
