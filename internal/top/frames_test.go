package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

var update = flag.Bool("update", false, "write testdata/frames anew")

// noon is when the first frame of a test is made.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// A made source is one whose answers are made up by functions of the second.
type made struct {
	snapshot func(second int) (*Snapshot, error)
	tube     func(name string) (*Tube, error)
	did      []string
	refuse   error // every command
	live     atomic.Int64
}

func (s *made) Close() error { return nil }

// Snapshot is a second later each time. A play does not use it.
func (s *made) Snapshot(context.Context) (*Snapshot, error) {
	return s.snapshot(int(s.live.Add(1)))
}

func (s *made) Tube(_ context.Context, name string, jobs int) (*Tube, error) {
	if s.tube == nil {
		return nil, ErrNoTube
	}
	return s.tube(name)
}

func (s *made) Pause(_ context.Context, name string, d time.Duration) error {
	s.did = append(s.did, fmt.Sprintf("pause %s %v", name, d))
	return s.refuse
}

func (s *made) Kick(_ context.Context, name string, n int) (int, error) {
	s.did = append(s.did, fmt.Sprintf("kick %s %d", name, n))
	return n, s.refuse
}

// A play has a model without a terminal: it gives it messages and keys, and carries
// out its commands, but for those that wait or ask for snapshots.
type play struct {
	t      testing.TB
	m      *model
	source *made
	second int
	quit   bool
}

func newPlay(t testing.TB, source *made, width, height int) *play {
	m, err := newModel(context.Background(), Options{Source: source, Address: "db:11300", Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m.styles = new(styles)
	p := &play{t: t, m: m, source: source}
	p.send(tea.WindowSizeMsg{Width: width, Height: height})
	return p
}

func (p *play) send(msg tea.Msg) {
	_, cmd := p.m.Update(msg)
	p.do(cmd)
}

// do carries a command out, if it is one that the view has asked for itself.
func (p *play) do(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg[1:] { // the first waits for the next second
			p.do(c)
		}
	case tubeMsg, doneMsg:
		p.send(msg)
	case tea.QuitMsg:
		p.quit = true
	}
}

// seconds has so many answers come.
func (p *play) seconds(n int) *play {
	for range n {
		at := noon().Add(time.Duration(p.second) * time.Second)
		s, err := p.source.snapshot(p.second)
		p.second++
		var msg tea.Msg = failedMsg{err}
		if err == nil {
			msg = p.m.keeper.frame(at, 5*time.Millisecond, s)
		}
		_, cmd := p.m.Update(msg)
		if cmd == nil {
			p.t.Fatal("got no command after an answer, want one that asks again")
		}
		if err == nil && !p.m.held {
			p.do(p.m.look())
		}
	}
	return p
}

// keys presses keys: words are their names, all else is typed.
func (p *play) keys(names ...string) *play {
	for _, name := range names {
		p.send(keyOf(name))
	}
	return p
}

func keyOf(name string) tea.KeyPressMsg {
	codes := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"home": tea.KeyHome, "end": tea.KeyEnd, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace,
	}
	if code, ok := codes[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// typed presses the key of each letter.
func (p *play) typed(text string) *play {
	for _, r := range text {
		p.keys(string(r))
	}
	return p
}

// screen returns what is on the screen, and wants it to fit.
func (p *play) screen() string {
	p.t.Helper()
	text := p.m.View().Content
	lines := strings.Split(text, "\n")
	if len(lines) > p.m.height {
		p.t.Errorf("got %d lines on a screen of %d", len(lines), p.m.height)
	}
	for i, line := range lines {
		if w := lipgloss.Width(line); w > p.m.width {
			p.t.Errorf("line %d: got %d cells of %d: %q", i+1, w, p.m.width, line)
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// want wants the screen to be that in testdata/frames.
func (p *play) want(name string) *play {
	p.t.Helper()
	wantFrame(p.t, name, p.screen())
	return p
}

// wantText wants text to be on the screen.
func (p *play) wantText(text string) *play {
	p.t.Helper()
	if got := p.screen(); !strings.Contains(got, text) {
		p.t.Errorf("got a screen without %q:\n%s", text, got)
	}
	return p
}

func wantFrame(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "frames", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(go test ./internal/top -update writes all of them anew: look at what has changed)", name, got, want)
	}
}

// shop is a server that is busy with five tubes.
func shop() *made {
	return &made{
		snapshot: func(second int) (*Snapshot, error) {
			n := int64(second)
			wave := []int64{0, 3, 7, 12, 9, 4, 1, 0, 2}[second%9]
			return &Snapshot{
				Server: Server{
					Name: "spoked", Version: "1.0", Host: "db", Address: "http://db:11301", Uptime: 3*24*time.Hour + time.Duration(n)*time.Second,
					Connections: 42, Producers: 3, Workers: 31, Waiting: 7,
					Ready: 12_345 + wave, Delayed: 1200, Reserved: 24, Buried: 17,
					Puts: 1_000_000 + 1234*n, Reserves: 990_000 + 1200*n, Timeouts: 12 + n/4,
					CPU: time.Duration(n) * 120 * time.Millisecond, Bodies: 5 << 20,
					JournalRecords: 1_000_000 + 3700*n, JournalBytes: 340 << 20,
				},
				Tubes: []TubeFigures{
					{Name: "default", Oldest: Unknown},
					{Name: "emails", Urgent: 3, Ready: 45 + wave, Reserved: 12, Delayed: 1200, Using: 2, Watching: 20, Waiting: 7,
						Puts: 800_000 + 1200*n, Deletes: 799_000 + 1190*n, Oldest: 2*time.Second + 300*time.Millisecond},
					{Name: "reports.monthly", Ready: 0, Buried: 17, Using: 1, Watching: 1, Puts: 230, Deletes: 213, Oldest: Unknown},
					{Name: "thumbnails.large-pictures", Ready: 12_300, Reserved: 12, Watching: 10, Puts: 200_000 + 34*n, Deletes: 187_688 + 12*n,
						Oldest: 26*time.Hour + 10*time.Minute},
					{Name: "newsletter", Ready: 0, Pauses: 2, PauseLeft: 95*time.Second - time.Duration(n)*time.Second, Watching: 4, Puts: 4, Deletes: 4, Oldest: Unknown},
				},
			}, nil
		},
		tube: func(name string) (*Tube, error) {
			return &Tube{
				TubeFigures: TubeFigures{Name: name, Urgent: 3, Ready: 48, Reserved: 2, Delayed: 1200, Buried: 0, Using: 2, Watching: 20, Waiting: 7,
					Puts: 803_600, Deletes: 802_570, Oldest: 2 * time.Second, Pauses: 1},
				Lists: true,
				Jobs: []Job{
					{ID: 1_000_123, State: stateReady, Pri: 10, Age: 1500 * time.Millisecond, Left: Unknown, Size: 34, Body: []byte(`{"to":"ann@example.org","n":12345}`)},
					{ID: 1_000_100, State: stateReady, Pri: 1024, Age: 2 * time.Second, Left: Unknown, Reserves: 1, Size: 65_000, Body: []byte("\x00\x01\x1b[31mred\r\nü 漢字 " + strings.Repeat("long ", 100))},
					{ID: 1_000_090, State: stateReserved, Pri: 1024, Age: 3 * time.Second, Left: 57 * time.Second, Reserves: 1, Size: 3, Body: []byte("abc")},
					{ID: 1_000_095, State: stateReserved, Pri: 4294967295, Age: 3 * time.Second, Left: 58 * time.Second, Reserves: 2, Size: 0, Body: []byte{}},
					{ID: 900_001, State: stateDelayed, Pri: 1024, Age: time.Hour, Left: 23 * time.Hour, Size: Unknown},
				},
				Clients: []Client{
					{Address: "10.0.0.7:51234", Kind: "wire", Waits: true, Watches: true},
					{Address: "10.0.0.8:51234", Kind: "wire", Watches: true, Holds: 1},
					{Address: "10.0.0.9:40000", Kind: "wire", Uses: true},
					{Kind: "http", Waits: true, Watches: true},
				},
			}, nil
		},
	}
}

// TestFrames looks at screens of many sizes.
func TestFrames(t *testing.T) {
	sizes := []struct{ w, h int }{{80, 24}, {120, 40}, {200, 12}, {60, 20}, {40, 16}, {24, 8}, {12, 4}, {3, 2}, {1, 1}}
	for _, size := range sizes {
		name := fmt.Sprintf("%dx%d", size.w, size.h)
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, shop(), size.w, size.h)
			p.screen() // before the first answer
			p.seconds(9).want("table-" + name)
			p.keys("down", "enter").want("tube-" + name)
			p.keys("esc", "?").want("help-" + name)
			p.keys("x").want("table-second-" + name)
		})
	}
}

// TestFrameColors looks at one with its colors: the dark ones and the light ones.
func TestFrameColors(t *testing.T) {
	for name, background := range map[string]string{"dark": "#000000", "light": "#ffffff"} {
		p := newPlay(t, shop(), 80, 12)
		p.send(tea.BackgroundColorMsg{Color: lipgloss.Color(background)})
		p.seconds(3).want("colors-" + name)
	}
}

func TestFrameEmpty(t *testing.T) {
	source := &made{snapshot: func(int) (*Snapshot, error) {
		return &Snapshot{
			Server: Server{Name: "beanstalkd", Version: "1.12", Address: "db:11300", Connections: 1, CPU: Unknown, Bodies: Unknown, JournalRecords: Unknown, JournalBytes: Unknown},
			Tubes:  []TubeFigures{{Name: "default", Oldest: Unknown}},
		}, nil
	}}
	newPlay(t, source, 80, 24).seconds(1).want("empty-first").seconds(1).want("empty")
}

// TestFrameFilter types into the filter, and takes it away.
func TestFrameFilter(t *testing.T) {
	p := newPlay(t, shop(), 80, 16).seconds(2)
	p.keys("/").typed("ma").want("filter-typing")
	p.keys("backspace").typed("X").wantText(`no tube has "mX" in its name`)
	p.keys("p", "K").wantText("/mXpK") // not commands
	p.keys("ctrl+u").typed("MAIL").keys("enter").want("filter")
	p.seconds(1).wantText("1/1")
	p.keys("esc").wantText("1/5")
	p.keys("/")
	p.send(tea.PasteMsg{Content: "news\x1b\n"})
	p.wantText("/news·")
	p.keys("backspace").wantText("newsletter").keys("esc").wantText("1/5")
}

// TestFrameSort goes through all columns, both ways round.
func TestFrameSort(t *testing.T) {
	p := newPlay(t, shop(), 80, 13).seconds(5)
	var b strings.Builder
	for range p.m.columns {
		for range 2 {
			b.WriteString(p.screen())
			p.keys("r")
		}
		p.keys("s")
	}
	wantFrame(t, "sort", b.String())
	p.keys("S").wantText("TUBE▲").keys(">").wantText("READY▼").keys("<").wantText("TUBE▲")
	before := p.keys("r", "s").screen()
	if got := p.keys("r", "r").screen(); got != before {
		t.Errorf("got another order after two turns:\n%s\nwant\n%s", got, before)
	}
}

// TestFrameLost has the server go away and come back, started anew.
func TestFrameLost(t *testing.T) {
	source := shop()
	busy := source.snapshot
	gone := false
	source.snapshot = func(second int) (*Snapshot, error) {
		if gone {
			return nil, errors.New("cannot reach db:11300: connect: connection refused")
		}
		return busy(second)
	}
	p := newPlay(t, source, 80, 16)
	p.want("asking")
	gone = true
	p.seconds(2).want("refused")
	if got, want := p.m.retry(), 2*time.Second; got != want {
		t.Errorf("got %v to wait after two failures, want %v", got, want)
	}
	gone = false
	p.seconds(4)
	gone = true
	p.seconds(9).want("lost")
	if got, want := p.m.retry(), 5*time.Second; got != want {
		t.Errorf("got %v to wait after nine failures, want %v", got, want)
	}
	p.keys("down", "enter").wantText("tube emails").keys("esc")
	gone = false
	source.snapshot = func(second int) (*Snapshot, error) { // started anew: counts begin at 0
		s, err := busy(second)
		s.Server.Uptime, s.Server.Puts, s.Server.Draining = time.Duration(second-15)*time.Second, 5, true
		return s, err
	}
	p.seconds(1).want("back")
	p.seconds(1).wantText("put 0 ")
}

// TestFrameInside looks into a tube, which then goes away.
func TestFrameInside(t *testing.T) {
	source := shop()
	p := newPlay(t, source, 100, 16).seconds(3)
	p.keys("down", "right").wantText("tube emails").wantText("READY  48 jobs")
	p.keys("end").want("inside-end")
	p.keys("home").wantText("jobs     ready 48")
	p.keys("down", "j", "k", "pgdown", "pgup", "up", "up").wantText("jobs     ready 48")
	source.tube = func(string) (*Tube, error) { return nil, ErrNoTube }
	p.seconds(1).wantText("there is no such tube any more")
	source.tube = func(string) (*Tube, error) { return nil, errors.New("the token may not do that") }
	p.seconds(1).wantText("the token may not do that")
	// What comes late, for another tube, is not shown.
	p.send(tubeMsg{name: "default", tube: &Tube{TubeFigures: TubeFigures{Name: "default", Ready: 77777}}})
	if got := p.screen(); strings.Contains(got, "77777") {
		t.Errorf("got another tube's figures:\n%s", got)
	}
	p.keys("esc").wantText("TUBE")
	p.send(tubeMsg{name: "emails", err: ErrNoTube}) // likewise
	p.wantText("TUBE")
}

// TestFrameWire looks into a tube as the wire protocol shows it.
func TestFrameWire(t *testing.T) {
	source := shop()
	source.tube = func(name string) (*Tube, error) {
		return &Tube{
			TubeFigures: TubeFigures{Name: name, Ready: 48, Reserved: 2, Buried: 1, Oldest: Unknown},
			Jobs: []Job{
				{ID: 1, State: stateReady, Age: 4 * time.Second, Left: Unknown, Size: 5, Body: []byte("hello")},
				{ID: 2, State: stateBuried, Age: 4 * time.Second, Left: Unknown, Size: 5, Body: []byte("hello"), Reserves: 1},
			},
		}, nil
	}
	newPlay(t, source, 80, 24).seconds(2).keys("enter").want("inside-wire")
}

// TestHold holds the picture, during which the figures are kept up.
func TestHold(t *testing.T) {
	p := newPlay(t, shop(), 110, 16).seconds(3)
	p.keys("space").wantText("HELD")
	before := p.screen()
	p.seconds(5)
	if got := p.screen(); got != before {
		t.Errorf("got another picture while it is held:\n%s\nwant\n%s", got, before)
	}
	p.keys("down", "down").wantText("3/5") // keys go on
	p.keys("space").wantText("12:00:07")
	if got := p.screen(); strings.Contains(got, "HELD") || strings.Count(got, "▁") < 7 {
		t.Errorf("got no picture of the seconds in between:\n%s", got)
	}
}

// TestCommands pauses, resumes and kicks: each asks first.
func TestCommands(t *testing.T) {
	source := shop()
	p := newPlay(t, source, 80, 16).seconds(2)
	wantDone := func(want ...string) {
		t.Helper()
		if got := strings.Join(source.did, "; "); got != strings.Join(want, "; ") {
			t.Errorf("got %q, want %q", got, want)
		}
		source.did = nil
	}
	p.keys("down", "p").want("prompt-pause")
	p.keys("esc").wantText("nothing done")
	wantDone()
	p.keys("p", "y").wantText("Pause emails for 60") // a letter is no answer
	p.keys("enter").wantText("emails is paused for 1m00s")
	wantDone("pause emails 1m0s")
	p.keys("p").typed("5x0").keys("enter")
	wantDone("pause emails 50s")
	p.keys("p", "backspace", "backspace", "enter").wantText("Pause emails for ▏").keys("0", "enter").wantText("Pause emails for 0▏")
	p.typed("99999999999").wantText("Pause emails for 999999999▏").keys("n")
	wantDone()

	p.keys("end", "up", "K").wantText("newsletter has no buried or delayed job to kick")
	p.keys("home", "down", "K").want("prompt-kick")
	p.typed("7").keys("enter").wantText("7 jobs of emails kicked")
	wantDone("kick emails 7")

	p.keys("/").typed("newsl").keys("enter", "p").want("prompt-resume")
	p.keys("enter").wantText("Resume newsletter?") // wants a y
	p.keys("y").wantText("newsletter is resumed")
	wantDone("pause newsletter 0s")
	p.keys("esc")

	source.refuse = errors.New("kick: the server says NOT_FOUND")
	p.keys("/").typed("repo").keys("enter", "enter", "K", "enter").wantText("the server says NOT_FOUND")
	wantDone("kick reports.monthly 17")

	// A question shows its answer, however long the name.
	p.keys("esc", "esc")
	p.m.prompt = &prompt{before: "Pause ", tube: strings.Repeat("x", 200), after: " for", asks: true, number: "60", unit: "seconds"}
	p.wantText("xxx… for 60▏ seconds").keys("esc")

	// The question stays about the tube it was asked for, wherever the cursor goes.
	p.keys("home", "down", "p")
	p.m.selected, p.m.cursor = "", 0
	p.seconds(1).keys("enter")
	wantDone("pause emails 1m0s")
}

// TestQuit ends it from everywhere.
func TestQuit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c"}, {"enter", "q"}, {"/", "ctrl+c"}, {"p", "ctrl+c"}, {"?", "ctrl+c"}} {
		if p := newPlay(t, shop(), 80, 24).seconds(1).keys(keys...); !p.quit {
			t.Errorf("%v: got no end", keys)
		}
	}
	if p := newPlay(t, shop(), 80, 24).seconds(1).keys("/", "q"); p.quit {
		t.Error("got an end by a letter typed into the filter")
	}
}

// many is a server with n tubes.
func many(n int) *made {
	return &made{snapshot: func(second int) (*Snapshot, error) {
		s := &Snapshot{Server: Server{Name: "spoked", Version: "1.0", Address: "db:11300", Uptime: time.Duration(second) * time.Second, JournalRecords: Unknown}}
		for i := range n {
			ready := int64((i*7919 + second*1000) % n)
			s.Tubes = append(s.Tubes, TubeFigures{Name: fmt.Sprintf("tube-%05d", i), Ready: ready, Puts: int64(second * i), Oldest: Unknown})
			s.Server.Ready += ready
		}
		return s, nil
	}}
}

// TestFrameMany has ten thousand tubes.
func TestFrameMany(t *testing.T) {
	p := newPlay(t, many(10_000), 80, 24).seconds(3).want("many")
	p.keys("s", "end").wantText("10000/10000")
	p.keys("pgup", "up", "ctrl+u", "ctrl+d").want("many-end")
	name := p.m.selected
	for range 3 {
		if p.seconds(1); p.m.rows[p.m.cursor].Name != name {
			t.Errorf("got the cursor on %s, want it to stay on %s", p.m.rows[p.m.cursor].Name, name)
		}
		p.wantText(name)
	}
	p.keys("/").typed("0077").wantText("tube-00770").wantText("tube-00779")
}

// TestFrameManyCosts counts what a screen of ten thousand tubes allocates: no more
// than one of a hundred.
func TestFrameManyCosts(t *testing.T) {
	allocs := func(n int) float64 {
		p := newPlay(t, many(n), 80, 24).seconds(2)
		return testing.AllocsPerRun(10, func() {
			p.keys("down")
			p.m.View()
		})
	}
	few, lots := allocs(100), allocs(10_000)
	if lots > 1.5*few {
		t.Errorf("got %v allocations to draw 10,000 tubes, and %v for 100; want as many", lots, few)
	}
}

// TestResize draws every size there is, in every state.
func TestResize(t *testing.T) {
	for _, keys := range [][]string{{}, {"enter"}, {"/", "e"}, {"?"}, {"K"}, {"p"}, {"end", "s", "s"}} {
		p := newPlay(t, shop(), 80, 24).seconds(3).keys(keys...)
		for w := 0; w < 130; w += 1 + w/20 {
			for h := 0; h < 30; h += 1 + h/10 {
				p.send(tea.WindowSizeMsg{Width: w, Height: h})
				if text := p.m.View().Content; w > 0 && h > 0 && strings.Count(text, "\n") >= h {
					t.Fatalf("%dx%d: got %d lines", w, h, strings.Count(text, "\n")+1)
				}
				if w > 0 && h > 0 {
					p.screen()
				}
			}
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	source := many(10_000)
	p := newPlay(b, source, 120, 50).seconds(2)
	s, _ := source.snapshot(3)
	b.Run("keep", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			p.m.keeper.frame(noon().Add(time.Duration(10+i)*time.Second), 0, s)
		}
	})
	b.Run("sort", func(b *testing.B) {
		for b.Loop() {
			p.m.sort()
		}
	})
	b.Run("draw", func(b *testing.B) {
		for b.Loop() {
			p.m.View()
		}
	})
}

// TestRandom presses random keys, on a screen of random size, while a random server
// answers, or does not. Whatever comes of it fits on the screen.
func TestRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	source := many(50)
	calm := source.snapshot
	source.snapshot = func(second int) (*Snapshot, error) {
		if random.IntN(5) == 0 {
			return nil, errors.New("down\x1b[2J")
		}
		s, err := calm(second)
		s.Tubes = s.Tubes[random.IntN(len(s.Tubes)):][:random.IntN(3)] // tubes come and go
		for i := range s.Tubes {
			f := &s.Tubes[i]
			f.Buried, f.Delayed = random.Int64N(3), random.Int64N(3)
			f.PauseLeft = time.Duration(random.Int64N(2)) * time.Minute
			f.Name += strings.Repeat("x", random.IntN(200))
		}
		return s, err
	}
	source.tube = func(name string) (*Tube, error) {
		if random.IntN(4) == 0 {
			return nil, ErrNoTube
		}
		return shop().tube(name)
	}
	keys := []string{
		"up", "down", "left", "right", "pgup", "pgdown", "home", "end", "enter", "esc", "backspace", "space",
		"s", "S", "r", "/", "p", "K", "?", "y", "n", "1", "0", "x", "ü", "j", "k", "g", "G", "ctrl+u", "ctrl+d",
	}
	p := newPlay(t, source, 80, 24)
	for range 2000 {
		switch n := random.IntN(20); {
		case n == 0:
			p.send(tea.WindowSizeMsg{Width: 1 + random.IntN(140), Height: 1 + random.IntN(50)})
		case n < 4:
			p.seconds(1)
		default:
			p.keys(keys[random.IntN(len(keys))])
		}
		p.screen()
		if p.m.cursor < 0 || p.m.cursor > max(0, len(p.m.rows)-1) {
			t.Fatalf("got the cursor on row %d of %d", p.m.cursor, len(p.m.rows))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}
