package transcript_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"spoked/internal/transcript"
)

// A toy is a Driver with a very small server behind it. Its commands are
//
//	say WORDS    is answered with the words
//	show BODY    is answered with OK, the body's length, and the body; / is LF
//	later WORDS  is answered when a second has passed
//	tell WORDS   is answered on all other connections
//	bye          hangs up
type toy struct {
	conns   map[string]*toyConn
	names   []string // all that were ever opened, in order
	writes  []string // what each Send brought
	later   []func()
	signals []string
}

type toyConn struct {
	in, out  []byte
	finished bool
}

func (d *toy) Open(client string) error {
	if d.conns == nil {
		d.conns = make(map[string]*toyConn)
	}
	d.conns[client] = new(toyConn)
	d.names = append(d.names, client)
	return nil
}

func (d *toy) Send(client string, p []byte) error {
	c := d.conns[client]
	d.writes = append(d.writes, string(p))
	c.in = append(c.in, p...)
	for {
		line, rest, ok := bytes.Cut(c.in, []byte("\r\n"))
		if !ok {
			return nil
		}
		c.in = rest
		word, words, _ := strings.Cut(string(line), " ")
		switch word {
		case "say":
			c.reply(words)
		case "show":
			body := strings.ReplaceAll(words, "/", "\n")
			c.reply(fmt.Sprintf("OK %d\r\n%s", len(body), body))
		case "later":
			d.later = append(d.later, func() { c.reply(words) })
		case "tell":
			for name, other := range d.conns {
				if name != client {
					other.reply(words)
				}
			}
		case "bye":
			c.finished = true
		default:
			c.reply("WHAT")
		}
	}
}

func (c *toyConn) reply(s string) { c.out = append(c.out, s+"\r\n"...) }

func (d *toy) Shut(client string) error {
	d.conns[client].reply("SHUT")
	d.conns[client].finished = true
	return nil
}

func (d *toy) Close(client string) error {
	delete(d.conns, client)
	return nil
}

func (d *toy) Receive(client string, wait bool) ([]byte, error) {
	c := d.conns[client]
	if len(c.out) == 0 && c.finished {
		return nil, io.EOF
	}
	// In small pieces, as a network might.
	n := min(len(c.out), 3)
	if !wait {
		n = len(c.out)
	}
	p := c.out[:n]
	c.out = c.out[n:]
	return p, nil
}

func (d *toy) Settle() error { return nil }

func (d *toy) Advance(t time.Duration) error {
	if t >= time.Second {
		for _, reply := range d.later {
			reply()
		}
		d.later = nil
	}
	return nil
}

func (d *toy) Signal(name string) error {
	d.signals = append(d.signals, name)
	return nil
}

// everything uses every directive, and the toy plays along.
const everything = `# A comment, and a header.
flags: -z 10 -V

a> say hello
a< hello
a> say one
a> say two
a<~ o.e
a<< "two\r\n"
a>> "say " "ab"*3 "\r"
a>> "\n"
a< ababab

# Bodies: in lines, some left out, and in bytes.
a> show ---/pid: 17/name: x/
a< OK 20
a| ---
a|~ pid: \d+
a| name: x
a> show ---/pid: 17/name: x/
a<~ OK \d+
a| ...
a| name: x
a> show ---/pid: 17/name: x/
a<~ OK \d+
a| ---
a| ...
a> show ab/c
a< OK 4
a|| "ab" "\nc"
a> show
a< OK 0

# Other clients, and time.
boss2> later done
a> tell news
boss2< news
advance 999ms
advance 1s
boss2< done
signal USR1

[x] a> say only with x
[x] a< only with x
[x y] a> say only with both
[x y] a< only with both
[z] a> say never
[z] a< never

a! shut
a< SHUT
a! eof
boss2> bye
boss2! eof
a> say back again
a< back again
a! close
`

func parse(t *testing.T, text string) *transcript.Script {
	t.Helper()
	s, err := transcript.Parse("talk.txt", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRun(t *testing.T) {
	s := parse(t, everything)
	var d toy
	if err := transcript.Run(s, &d, "x", "y"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ what, got, want string }{
		{"flags", fmt.Sprint(s.Flags), "[-z 10 -V]"},
		{"duration", s.Duration().String(), "1.999s"},
		{"clients", fmt.Sprint(d.names), "[a boss2 a]"},
		{"signals", fmt.Sprint(d.signals), "[USR1]"},
		{"writes", fmt.Sprintf("%q", d.writes[1:4]), fmt.Sprintf("%q", []string{"say one\r\nsay two\r\n", "say ababab\r", "\n"})},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %s, want %s", test.what, test.got, test.want)
		}
	}
}

func TestRunTags(t *testing.T) {
	for _, tags := range [][]string{nil, {"x"}, {"y"}, {"x", "y"}} {
		var d toy
		if err := transcript.Run(parse(t, everything), &d, tags...); err != nil {
			t.Errorf("tags %v: %v", tags, err)
		}
	}
}

// TestRunFails shows scripts that the toy does not keep to, and the first lines
// of what is said about it.
func TestRunFails(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{"a> say x\na< y", "talk.txt:2: a< y\n\tcame \"x\""},
		{"a> say x\na<~ y+", "talk.txt:2: a<~ y+\n\tcame \"x\""},
		{"a> say yy\na<~ y", "talk.txt:2: a<~ y\n\tcame \"yy\""},
		{"a> say xy\na<< \"xz\"", "talk.txt:2: a<< \"xz\"\n\tcame \"xy"},
		{"a> later x\na< x", "talk.txt:2: a< x\n\tnothing came"},
		{"a> say x\na<< \"x\\r\\nmore\"", "\tcame only \"x\\r\\n\""},
		{"a> bye\na< x", "talk.txt:2: a< x\n\tcame \"\" and the server hung up"},
		{"a> say x\na! eof", "talk.txt:2: a! eof\n\tcame \"x"},
		{"a> later x\na! eof", "talk.txt:2: a! eof\n\tthe connection is still open"},

		// What nobody expects.
		{"a> say x", "talk.txt:1: the end\n\tbefore this, a was sent \"x\\r\\n\""},
		{"a> say x\nadvance 1s", "talk.txt:2: advance 1s\n\tbefore this, a was sent \"x\\r\\n\""},
		{"b> later x\na> tell y\na> tell z\na! close", "talk.txt:4: a! close\n\tbefore this, b was sent \"y\\r\\nz\\r\\n\""},
		{"a> bye\nb> say x", "talk.txt:2: b> say x\n\tbefore this, the server hung up on a"},

		// Bodies.
		{"a> show x\na< OK 1", "talk.txt:2: a< OK 1\n\tcame with the body \"x\""},
		{"a> say x\na< x\na| y", "talk.txt:3: a| y\n\t\"x\" has no body"},
		{"a> show x/y/\na< OK 4\na| x\na| z", "talk.txt:4: a| z\n\tcame y"},
		{"a> show x/y/\na< OK 4\na| x", "talk.txt:3: a| x\n\tthe body goes on: y"},
		{"a> show x/y/\na< OK 4\na| ...\na| z", "talk.txt:4: a| z\n\tno such line in what is left of the body"},
		{"a> show x/y\na< OK 3\na| x\na| y", "talk.txt:3: a| x\n\tthe last line of \"x\\ny\" is not ended"},
		{"a> show x\na< OK 1\na|| \"y\"", "talk.txt:3: a|| \"y\"\n\tcame \"x\""},
	} {
		var d toy
		err := transcript.Run(parse(t, test.script), &d)
		if err == nil {
			t.Errorf("%q passed, want %q", test.script, test.want)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q says\n%v\nwant %q", test.script, err, test.want)
		}
	}
}

// A failure shows the conversation so far: that is what one reads first.
func ExampleRun_failure() {
	s, err := transcript.Parse("talk.txt", []byte(`# Small talk.
a> say hello
a> say bye
a< hello
a< good-bye
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(transcript.Run(s, new(toy)))
	// Output:
	// talk.txt:5: a< good-bye
	// 	came "bye"
	// the conversation so far:
	// 	a> say hello
	// 	a> say bye
	// 	a< hello
}

func TestParseFails(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{"", "talk.txt: the transcript is empty"},
		{"hello", `talk.txt:1: cannot make sense of "hello"`},
		{"# fine\nA> x", `talk.txt:2: cannot make sense of "A> x"`},
		{"a> x ", "talk.txt:1: white space at the end of the line: quote it"},
		{"a>> x", `"x" does not start with a quoted string`},
		{`a>> "x"*y`, `"y" is no number of times`},
		{"a<~ (", "error parsing regexp"},
		{"a! hide", `a connection knows shut, close and eof, not "hide"`},
		{"advance soon", "invalid duration"},
		{"a> x\na| y", `talk.txt:2: "a| y" belongs to no reply above it`},
		{"a< x\nb| y", `talk.txt:2: "b| y" belongs to no reply above it`},
		{"a< x\na|| \"y\"\na| y", `talk.txt:3: "a| y" belongs to no reply above it`},
		{"a> x\nflags: -z 1", "talk.txt:2: flags come before the first step"},
	} {
		_, err := transcript.Parse("talk.txt", []byte(test.script))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %s", test.script, err, test.want)
		}
	}
}

func TestPage(t *testing.T) {
	const page = "# Title\n\n```conversation\na> one\n```\n\n```sh\nls\n```\ntext\n\n```conversation\nb>> \"two\"\nb< three\n```\n"
	scripts, err := transcript.Page("p.md", page)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range scripts {
		got = append(got, fmt.Sprintf("%s %q", s.Name, s.Sent()))
	}
	want := `p.md:3 ["one"]; p.md:12 ["\"two\""]`
	if got := strings.Join(got, "; "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"```conversation\na> one\n", "```conversation\nnonsense\n```\n"} {
		if _, err := transcript.Page("p.md", bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
