package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is the state of the view. Messages change it, one after the other; what takes
// time is done by commands, which get what they need as values.
type model struct {
	ctx      context.Context
	source   Source
	now      func() time.Time
	keeper   *keeper // used by the one command that asks for a snapshot
	interval time.Duration
	address  string

	width, height int
	styles        *styles
	columns       []column

	latest   *frame // the newest, nil before the first
	shown    *frame // what is on the screen: the newest, unless it is held
	held     bool
	failure  error // of the last question, nil if it was answered
	failures int   // one after the other

	rows     []*row // of shown, as sorted and filtered
	longest  int    // of their names
	cursor   int    // in rows
	selected string // the tube that the cursor stays on; "": the first row, whichever
	offset   int    // the first row on the screen
	sorted   int    // column
	reverse  bool
	filter   string
	typing   bool // the filter

	prompt *prompt
	note   string // on the last line, until the next key
	failed bool   // the note tells of a failure
	help   bool
	inside *inside
}

// inside is what the view has when it looks into a tube.
type inside struct {
	name   string
	tube   *Tube // nil before the first answer
	gone   bool  // there is no such tube any more
	fault  error
	scroll int
}

// patience is how long a server may take to answer.
const patience = 15 * time.Second

// jobsShown is how many jobs of each state are shown of a tube.
const jobsShown = 10

// Messages.
type (
	// askMsg says that it is time for the next question.
	askMsg struct{}
	// failedMsg is the answer that there was none.
	failedMsg struct{ err error }
	// tubeMsg is what came of looking into a tube.
	tubeMsg struct {
		name string
		tube *Tube
		err  error
	}
	// doneMsg is what came of a command that was asked for.
	doneMsg struct {
		text string
		err  error
	}
)

// Init asks for the first frame, and for the color of the background.
func (m *model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, m.ask())
}

// ask asks the source for the next frame. There is never more than one such
// question under way.
func (m *model) ask() tea.Cmd {
	source, keeper, now := m.source, m.keeper, m.now
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		return next(ctx, source, keeper, now)
	}
}

// next returns the next frame, or a failedMsg.
func next(ctx context.Context, source Source, k *keeper, now func() time.Time) tea.Msg {
	start := now()
	s, err := source.Snapshot(ctx)
	if err != nil {
		return failedMsg{err}
	}
	return k.frame(start, now().Sub(start), s)
}

// look asks the source for the tube that the view looks into, if there is one.
func (m *model) look() tea.Cmd {
	if m.inside == nil {
		return nil
	}
	source, name := m.source, m.inside.name
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		t, err := source.Tube(ctx, name, jobsShown)
		return tubeMsg{name, t, err}
	}
}

// rest is how long to wait after an answer that took so long. A server is asked for
// no more than a quarter of the time, however many tubes it has.
func (m *model) rest(took time.Duration) time.Duration {
	return max(m.interval-took, 3*took)
}

// retry is how long to wait after that many failures.
func (m *model) retry() time.Duration {
	return min(time.Second<<min(m.failures-1, 3), 5*time.Second)
}

func after(d time.Duration) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return askMsg{} })
}

// Update takes a message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.styles = colored(msg.IsDark())
	case askMsg:
		return m, m.ask()
	case *frame:
		m.latest, m.failure, m.failures = msg, nil, 0
		if !m.held {
			m.shown = msg
			m.sort()
			return m, tea.Batch(after(m.rest(msg.took)), m.look())
		}
		return m, after(m.rest(msg.took))
	case failedMsg:
		m.failure = msg.err
		m.failures++
		return m, after(m.retry())
	case tubeMsg:
		m.looked(msg)
	case doneMsg:
		m.note, m.failed = msg.text, msg.err != nil
		if msg.err != nil {
			m.note = msg.err.Error()
		}
		return m, m.look()
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// looked takes what there is in a tube, if it is still the one that is looked into.
func (m *model) looked(msg tubeMsg) {
	in := m.inside
	if in == nil || in.name != msg.name || m.held && in.tube != nil {
		return
	}
	in.gone = msg.err == ErrNoTube
	in.fault = msg.err
	if msg.err == nil {
		in.tube = msg.tube
	}
}

// sort puts the rows in order anew, and the cursor where it was.
func (m *model) sort() {
	if m.shown == nil {
		return
	}
	m.rows, m.longest = order(m.shown, m.filter, &m.columns[m.sorted], m.reverse)
	if m.selected == "" {
		m.cursor = 0
		return
	}
	for i, r := range m.rows {
		if r.Name == m.selected {
			m.cursor = i
			return
		}
	}
	m.moveTo(m.cursor) // it has gone: what is there now
}

// moveTo puts the cursor on a row.
func (m *model) moveTo(i int) {
	m.cursor = max(0, min(i, len(m.rows)-1))
	m.selected = ""
	if m.cursor > 0 {
		m.selected = m.rows[m.cursor].Name
	}
}

// current returns the tube that commands are for, or nil.
func (m *model) current() *row {
	if m.inside == nil {
		if m.cursor < len(m.rows) {
			return m.rows[m.cursor]
		}
		return nil
	}
	return m.rowOf(m.inside.name)
}

// rowOf returns the row of a tube, or nil.
func (m *model) rowOf(name string) *row {
	if m.shown == nil {
		return nil
	}
	for i := range m.shown.tubes {
		if m.shown.tubes[i].Name == name {
			return &m.shown.tubes[i]
		}
	}
	return nil
}
