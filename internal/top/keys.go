package top

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// press takes a key.
func (m *model) press(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	if key == "ctrl+c" {
		return tea.Quit
	}
	m.note, m.failed = "", false
	switch {
	case m.prompt != nil:
		return m.answer(key, k.Text)
	case m.typing:
		m.typeFilter(key, k.Text)
		return nil
	case m.help:
		m.help = false
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "?", "h", "f1":
		m.help = true
	case "space":
		m.hold()
		return m.look()
	case "p":
		m.askPause()
	case "K":
		m.askKick()
	default:
		if m.inside != nil {
			return m.pressInside(key)
		}
		return m.pressTable(key)
	}
	return nil
}

// hold stops the picture, or lets it go on.
func (m *model) hold() {
	m.held = !m.held
	if !m.held && m.latest != nil {
		m.shown = m.latest
		m.sort()
	}
}

// pressTable takes a key of the table.
func (m *model) pressTable(key string) tea.Cmd {
	if m.move(key) {
		return nil
	}
	switch key {
	case "s", ">":
		m.sortBy((m.sorted + 1) % len(m.columns))
	case "S", "<":
		m.sortBy((m.sorted + len(m.columns) - 1) % len(m.columns))
	case "r":
		m.reverse = !m.reverse
		m.sort()
	case "/":
		m.typing = true
	case "esc":
		m.setFilter("")
	case "enter", "right", "l":
		if r := m.current(); r != nil {
			m.inside = &inside{name: r.Name}
			return m.look()
		}
	}
	return nil
}

func (m *model) sortBy(column int) {
	m.sorted, m.reverse = column, false
	m.sort()
}

// move moves the cursor, if key says so.
func (m *model) move(key string) bool {
	page := max(1, m.tableHeight())
	switch key {
	case "up", "k":
		m.moveTo(m.cursor - 1)
	case "down", "j":
		m.moveTo(m.cursor + 1)
	case "pgup", "ctrl+b":
		m.moveTo(m.cursor - page)
	case "pgdown", "ctrl+f":
		m.moveTo(m.cursor + page)
	case "ctrl+u":
		m.moveTo(m.cursor - page/2)
	case "ctrl+d":
		m.moveTo(m.cursor + page/2)
	case "home", "g":
		m.moveTo(0)
	case "end", "G":
		m.moveTo(len(m.rows) - 1)
	default:
		return false
	}
	return true
}

// pressInside takes a key while a tube is looked into.
func (m *model) pressInside(key string) tea.Cmd {
	in := m.inside
	switch key {
	case "esc", "left", "backspace":
		m.inside = nil
	case "up", "k":
		in.scroll--
	case "down", "j":
		in.scroll++
	case "pgup", "ctrl+b", "ctrl+u":
		in.scroll -= m.height / 2
	case "pgdown", "ctrl+f", "ctrl+d":
		in.scroll += m.height / 2
	case "home", "g":
		in.scroll = 0
	case "end", "G":
		in.scroll = 1 << 30 // as far as there is anything
	}
	in.scroll = max(0, in.scroll)
	return nil
}

// typeFilter takes a key while the filter is typed.
func (m *model) typeFilter(key, text string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc":
		m.typing = false
		m.setFilter("")
	case "up", "down", "pgup", "pgdown":
		m.move(key)
	case "ctrl+u":
		m.setFilter("")
	default:
		if t := edit(m.filter, key, text); t != m.filter {
			m.setFilter(t)
		}
	}
}

func (m *model) setFilter(text string) {
	if text == m.filter {
		return
	}
	m.filter, m.selected, m.offset = text, "", 0
	m.sort()
}

// edit returns text after a key: the last character taken away, or one appended.
func edit(text, key, typed string) string {
	if key == "backspace" {
		if text == "" {
			return ""
		}
		r := []rune(text)
		return string(r[:len(r)-1])
	}
	const most = 200 // as many bytes as the name of a tube may have
	if typed == "" || len(text)+len(typed) > most {
		return text
	}
	return text + typed
}

// paste takes what has been pasted: as if it were typed.
func (m *model) paste(text string) {
	text = strings.TrimSpace(printable([]byte(text)))
	switch {
	case m.prompt != nil:
		m.prompt.add(text)
	case m.typing:
		m.setFilter(edit(m.filter, "", text))
	}
}

// A prompt is a question on the last line, before something is done to a tube.
type prompt struct {
	before, tube, after string // the question

	number string // the answer so far
	asks   bool   // for a number; otherwise for nothing but a yes
	unit   string
	most   int
	fresh  bool // the number is the one suggested: typing replaces it
	do     func(n int) tea.Cmd
}

// add takes what was typed.
func (p *prompt) add(text string) {
	for _, r := range text {
		if !p.asks || r < '0' || r > '9' {
			continue
		}
		if p.fresh {
			p.number, p.fresh = "", false
		}
		if n, err := strconv.Atoi(p.number + string(r)); err == nil && n <= p.most {
			p.number = strconv.Itoa(n)
		}
	}
}

// answer takes a key while there is a prompt.
func (m *model) answer(key, text string) tea.Cmd {
	p := m.prompt
	switch key {
	case "esc", "n", "q":
		m.prompt = nil
		m.note = "nothing done"
	case "backspace":
		p.fresh = false
		p.number = edit(p.number, key, "")
	case "y", "enter":
		if p.asks == (key == "y") {
			return nil // a number wants an enter, a question a y: not the key that opened it
		}
		n, err := strconv.Atoi(p.number)
		if p.asks && (err != nil || n < 1) {
			return nil
		}
		m.prompt = nil
		return p.do(n)
	default:
		p.add(text)
	}
	return nil
}

// askPause asks whether to pause the tube, or to end its pause.
func (m *model) askPause() {
	r := m.current()
	if r == nil {
		return
	}
	name := r.Name
	if r.PauseLeft > 0 {
		m.prompt = &prompt{before: "Resume ", tube: name, after: "?", do: func(int) tea.Cmd {
			return m.command(func(ctx context.Context, s Source) (string, error) {
				return name + " is resumed", s.Pause(ctx, name, 0)
			})
		}}
		return
	}
	m.prompt = &prompt{
		before: "Pause ", tube: name, after: " for", unit: "seconds", asks: true, number: "60", fresh: true, most: 1<<31 - 1,
		do: func(n int) tea.Cmd {
			return m.command(func(ctx context.Context, s Source) (string, error) {
				d := time.Duration(n) * time.Second
				return name + " is paused for " + span(d), s.Pause(ctx, name, d)
			})
		},
	}
}

// askKick asks how many jobs of the tube to kick.
func (m *model) askKick() {
	r := m.current()
	if r == nil {
		return
	}
	name, n, kind := r.Name, r.Buried, stateBuried
	if n <= 0 {
		n, kind = r.Delayed, stateDelayed
	}
	if n <= 0 {
		m.note = name + " has no buried or delayed job to kick"
		return
	}
	m.prompt = &prompt{
		before: fmt.Sprintf("Kick (of %s %s jobs in ", count(n), kind), tube: name, after: ")", unit: "jobs",
		asks: true, number: strconv.FormatInt(n, 10), fresh: true, most: 1<<31 - 1,
		do: func(n int) tea.Cmd {
			return m.command(func(ctx context.Context, s Source) (string, error) {
				kicked, err := s.Kick(ctx, name, n)
				return plural(int64(kicked), "job", "jobs") + " of " + name + " kicked", err
			})
		},
	}
}

// command has the source do something.
func (m *model) command(do func(ctx context.Context, s Source) (string, error)) tea.Cmd {
	source := m.source
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		text, err := do(ctx, source)
		return doneMsg{text, err}
	}
}
