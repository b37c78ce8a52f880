package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// Options say what is shown of which server, and where.
type Options struct {
	// Source is asked for what there is to see; see [Wire] and [API]. It remains the
	// caller's, who closes it.
	Source Source
	// Address names the server, for as long as it has not answered.
	Address string
	// Interval is how often the server is asked; 0 is once a second. It is asked less
	// often if it takes long to answer.
	Interval time.Duration
	// Sort is the name of a column, in any case; "" is ready. Reverse turns the order
	// round.
	Sort    string
	Reverse bool
	// Filter is what the names of tubes have to contain.
	Filter string
	// Once has one frame printed, as text without any control characters, after two
	// questions an interval apart. It has all tubes, or as many as fit into Height.
	Once bool
	// Width and Height are the size of that frame; 0 is the terminal's width, or 100,
	// and as many lines as it takes.
	Width, Height int

	// Input and Output are the terminal; nil is standard input and output. With Once
	// Output may be anything.
	Input  io.Reader
	Output io.Writer
	// Env is the environment as NAME=VALUE, nil that of the process. TERM, NO_COLOR and
	// others are looked for in it.
	Env []string
}

// ErrNoTerminal is returned where there is none to draw on.
var ErrNoTerminal = errors.New("there is no terminal to draw on; --once prints one frame as text")

// Run shows a server until the user quits or ctx ends, which are both no error. It
// blocks. Problems with the server are shown, and end it only with Once.
func Run(ctx context.Context, o Options) error {
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Input == nil {
		o.Input = os.Stdin
	}
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	m, err := newModel(ctx, o)
	if err != nil {
		return err
	}
	if o.Once {
		return m.once(o)
	}
	if !isTerminal(o.Input) || !isTerminal(o.Output) || slices.Contains(o.Env, "TERM=dumb") {
		return ErrNoTerminal
	}
	var stop context.CancelFunc
	m.ctx, stop = context.WithCancel(ctx)
	defer stop() // of what is still being asked
	p := tea.NewProgram(m, tea.WithInput(o.Input), tea.WithOutput(o.Output), tea.WithEnvironment(o.Env))
	defer context.AfterFunc(ctx, p.Quit)() // it gives the terminal back, and does not merely end
	_, err = p.Run()
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

func isTerminal(f any) bool {
	file, ok := f.(term.File)
	return ok && term.IsTerminal(file.Fd())
}

// newModel returns the view as it begins.
func newModel(ctx context.Context, o Options) (*model, error) {
	m := &model{
		ctx: ctx, source: o.Source, now: time.Now, keeper: new(keeper), interval: o.Interval, address: o.Address,
		styles: colored(true), columns: columns(), sorted: readyColumn, reverse: o.Reverse, filter: o.Filter,
	}
	if o.Sort != "" {
		m.sorted = columnNamed(o.Sort)
		if m.sorted < 0 {
			return nil, fmt.Errorf("there is no column %q to sort by; there are %s", o.Sort, strings.Join(columnNames(), ", "))
		}
	}
	return m, nil
}

// once prints a frame.
func (m *model) once(o Options) error {
	m.styles = new(styles)
	for i := range 2 { // rates are of the time in between
		if i > 0 {
			select {
			case <-time.After(m.interval):
			case <-m.ctx.Done():
				return m.ctx.Err()
			}
		}
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		msg := next(ctx, m.source, m.keeper, m.now)
		cancel()
		switch msg := msg.(type) {
		case failedMsg:
			return msg.err
		case *frame:
			m.shown = msg
		}
	}
	m.sort()
	m.width, m.height = o.Width, o.Height
	if m.width <= 0 {
		m.width = 100
		if f, ok := o.Output.(term.File); ok {
			if w, _, err := term.GetSize(f.Fd()); err == nil && w > 0 {
				m.width = w
			}
		}
	}
	if m.height <= 0 {
		m.height = max(wholeHeader, fullHeader+len(m.rows)+2)
	}
	_, err := io.WriteString(o.Output, m.page())
	return err
}

// page returns a frame as text: the header, and as many rows as there is room for,
// without the cursor, the line of keys, and blanks at the ends of lines.
func (m *model) page() string {
	s := &screen{width: m.width}
	m.height++ // nothing is on the last line
	m.drawHeader(s)
	m.cursor = -1
	m.drawTable(s, m.tableHeight())
	m.height--
	for i, line := range s.lines {
		s.lines[i] = strings.TrimRight(line, " ")
	}
	return s.text(m.height) + "\n"
}
