package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// View draws the screen. It draws the rows that are on it, and looks at no others.
func (m *model) View() tea.View {
	v := tea.NewView(m.draw())
	v.AltScreen = true
	v.WindowTitle = "spoked top " + m.address
	return v
}

// draw returns the screen as lines, as many as there is room for and none wider.
func (m *model) draw() string {
	if m.width <= 0 || m.height <= 0 {
		return ""
	}
	s := &screen{width: m.width}
	switch {
	case m.help:
		m.drawHelp(s)
	case m.shown == nil:
		m.drawTitle(s)
		s.fill(m.height - 1)
	case m.inside != nil:
		m.drawInside(s)
	default:
		m.drawHeader(s)
		m.drawTable(s, m.tableHeight())
	}
	s.fill(m.height - 1)
	s.lines = s.lines[:m.height-1]
	m.drawLast(s)
	return s.text(m.height)
}

// fullHeader is how many lines there are above the table, the empty one included.
const fullHeader = 6

// wholeHeader is from which height on there is all of it.
const wholeHeader = 14

// headerHeight is how many lines there are above the table. Of a terminal that is low
// the table gets most.
func (m *model) headerHeight() int {
	switch {
	case m.height >= wholeHeader:
		return fullHeader
	case m.height >= 8:
		return 2
	case m.height >= 4:
		return 1
	}
	return 0
}

// tableHeight is how many rows of the table there is room for: beside the header,
// the names of the columns and the last line.
func (m *model) tableHeight() int { return max(0, m.height-m.headerHeight()-2) }

// drawTitle draws the line that says which server this is.
func (m *model) drawTitle(s *screen) {
	st := m.styles
	if m.shown == nil {
		s.add(st.title, "spoked top").add(st.usual, "  asking "+m.address)
		s.end()
		return
	}
	v := &m.shown.server
	name := "server"
	if v.Name != "" {
		name = v.Name
	}
	s.add(st.title, printable([]byte(name+" "+v.Version)))
	s.add(st.usual, "  "+printable([]byte(v.Address)))
	s.add(st.dim, "  up ").add(st.usual, span(v.Uptime))
	switch {
	case m.failure != nil:
		s.add(st.usual, "  ").add(st.alarm, "NO ANSWER")
	case v.Draining:
		s.add(st.usual, "  ").add(st.alert, "DRAINING")
	}
	if m.held {
		s.add(st.usual, "  ").add(st.alert, "HELD")
	}
	s.atRight(st.dim, m.shown.at.Format(time.TimeOnly))
	s.end()
}

// drawHeader draws what there is to say of the whole server.
func (m *model) drawHeader(s *screen) {
	height := m.headerHeight()
	if height == 0 {
		return
	}
	m.drawTitle(s)
	if height == 1 {
		return
	}
	v, r := &m.shown.server, &m.shown.rates
	if height == 2 {
		m.figures(s, "", []figure{
			{"put", perSecond(r.puts) + "/s"}, {"reserve", perSecond(r.reserves) + "/s"}, {"delete", perSecond(r.deletes) + "/s"},
			{"waiting", count(v.Waiting)}, {"tubes", count(int64(len(m.shown.tubes)))},
		})
		return
	}
	m.figures(s, "clients", []figure{
		{"connections", count(v.Connections)}, {"producers", count(v.Producers)},
		{"workers", count(v.Workers)}, {"waiting", count(v.Waiting)},
	})
	m.figures(s, "jobs   ", []figure{
		{"ready", count(v.Ready)}, {"reserved", count(v.Reserved)}, {"delayed", count(v.Delayed)}, {"buried", count(v.Buried)},
		{"bodies", size(v.Bodies)},
	})
	m.drawRates(s)
	f := []figure{{"cpu", percent(r.cpu)}, {"tubes", count(int64(len(m.shown.tubes)))}}
	if v.JournalRecords >= 0 {
		f = append(f, figure{"journal", perSecond(r.records) + " records/s"})
		if v.JournalBytes >= 0 {
			f = append(f, figure{"on disk", size(v.JournalBytes)})
		}
	} else {
		f = append(f, figure{"journal", dash})
	}
	m.figures(s, "server ", f)
	s.end()
}

// A figure is a value and what it is of.
type figure struct{ name, value string }

// figures draws a line of figures.
func (m *model) figures(s *screen, title string, list []figure) {
	if title != "" {
		s.add(m.styles.dim, title+"  ")
	}
	for i, f := range list {
		if i > 0 {
			s.add(m.styles.usual, "  ")
		}
		s.add(m.styles.dim, f.name+" ").add(m.styles.strong, f.value)
	}
	s.end()
}

// drawRates draws the rates, each with a picture of what it has been, for which they
// share the room that is left.
func (m *model) drawRates(s *screen) {
	r, st := &m.shown.rates, m.styles
	list := []struct {
		name  string
		value float64
		trend []float32
	}{
		{"put", r.puts, r.putTrend}, {"reserve", r.reserves, r.reserveTrend},
		{"delete", r.deletes, r.deleteTrend}, {"timeout", r.timeouts, r.timeoutTrend},
	}
	const title = "a second "
	room := s.width - len(title)
	for _, x := range list {
		room -= len(x.name) + 1 + 5 + 2
	}
	pictures := len(list)
	if room < 10*pictures { // the timeouts go without
		pictures--
	}
	cells := min(room/pictures, trendLength)
	s.add(st.dim, title)
	for i, x := range list {
		if i > 0 {
			s.add(st.usual, "  ")
		}
		s.add(st.dim, x.name+" ")
		look := st.strong
		if x.name == "timeout" && x.value > 0 {
			look = st.warn
		}
		if cells < 4 || i >= pictures {
			s.add(look, perSecond(x.value))
			continue
		}
		s.add(look, fit(perSecond(x.value), 5)).add(st.trend, spark(x.trend, cells-1))
		s.add(st.usual, " ")
	}
	s.end()
}

// drawTable draws the names of the columns and as many rows as there is room for.
func (m *model) drawTable(s *screen, height int) {
	l := lay(m.columns, s.width, m.sorted, m.longest)
	m.drawHeads(s, &l)
	m.offset = min(m.offset, max(0, len(m.rows)-height))
	m.offset = max(0, min(m.offset, m.cursor))
	if m.cursor >= m.offset+height {
		m.offset = m.cursor - height + 1
	}
	if len(m.rows) == 0 {
		s.add(m.styles.dim, fmt.Sprintf("no tube has %q in its name", m.filter)).end()
	}
	for i := m.offset; i < min(m.offset+height, len(m.rows)); i++ {
		m.drawRow(s, &l, m.rows[i], i == m.cursor)
	}
}

// drawHeads draws the names of the columns.
func (m *model) drawHeads(s *screen, l *layout) {
	for at, i := range l.columns {
		c := &m.columns[i]
		title, look := c.title, m.styles.head
		if i == m.sorted {
			look = m.styles.sorted
			mark := "▼"
			if m.reverse != (c.key == nil) { // names go up
				mark = "▲"
			}
			title += mark
		}
		if at == 0 {
			s.add(look, title)
			s.add(m.styles.usual, strings.Repeat(" ", max(0, l.name-s.used)))
			continue
		}
		text, used := cut(title, c.width+1)
		s.add(m.styles.usual, strings.Repeat(" ", c.width+1-used)).add(look, text)
	}
	if l.trend > 0 {
		s.add(m.styles.head, "  "+fit(trendTitle(l.trend), l.trend))
	}
	s.end()
}

// trendTitle is what stands above the little pictures.
func trendTitle(cells int) string {
	if cells < len("READY SO FAR") {
		return "SO FAR"
	}
	return "READY SO FAR"
}

// drawRow draws a tube. That with the cursor is drawn in one look.
func (m *model) drawRow(s *screen, l *layout, r *row, selected bool) {
	st := m.styles
	look := func(other style) style {
		if selected {
			return st.selected
		}
		return other
	}
	for at, i := range l.columns {
		c := &m.columns[i]
		if at == 0 {
			s.add(look(st.when(r.PauseLeft > 0, st.warn)), fit(printable([]byte(r.Name)), l.name))
			continue
		}
		text := c.text(r)
		color := st.usual
		switch {
		case text == "0" || text == dash:
			color = st.dim
		case c.color != nil:
			color = c.color(st, r)
		}
		s.add(look(color), right(text, c.width+1))
	}
	if l.trend > 0 {
		s.add(look(st.trend), "  "+spark(r.ready, l.trend))
	}
	s.end()
}

// drawLast draws the last line: a question, what came of a command, what is wrong, the
// filter, or the keys.
func (m *model) drawLast(s *screen) {
	st := m.styles
	switch {
	case m.prompt != nil:
		p := m.prompt
		answer := len(p.before) + len(p.after) + len(" ▏ ") + len(p.number) + len(p.unit)
		name, _ := cut(printable([]byte(p.tube)), max(8, s.width-answer))
		s.add(st.warn, p.before+name+p.after)
		if p.asks {
			s.add(st.strong, " "+p.number+"▏").add(st.usual, " "+p.unit)
			m.keys(s, "  ", "enter", "do it", "esc", "leave it")
		} else {
			m.keys(s, "  ", "y", "yes", "n", "no")
		}
	case m.typing:
		s.add(st.strong, "/"+m.filter+"▏")
		m.keys(s, "  ", "enter", "keep", "esc", "all tubes")
	case m.note != "":
		look := st.good
		if m.failed {
			look = st.bad
		}
		s.add(look, printable([]byte(m.note)))
	case m.failure != nil:
		s.add(st.bad, printable([]byte(m.failure.Error()))).add(st.dim, "; trying again")
	case m.help:
		s.add(st.dim, "any key goes back")
	case m.inside != nil:
		m.keys(s, "", "esc", "back", "↑↓", "scroll", "p", "pause", "K", "kick", "space", "hold", "?", "help", "q", "quit")
	default:
		if m.filter != "" {
			s.add(st.strong, "/"+m.filter+" ")
		}
		place := ""
		if len(m.rows) > 0 {
			place = fmt.Sprintf(" %d/%d", m.cursor+1, len(m.rows))
		}
		whole := s.width
		s.width -= len(place)
		m.keys(s, "", "enter", "look", "s", "sort", "r", "reverse", "/", "filter", "?", "help", "q", "quit", "p", "pause", "K", "kick", "space", "hold")
		s.width = whole
		s.atRight(st.dim, strings.TrimSpace(place))
	}
	s.end()
}

// keys draws keys and what they do, in turns, as many as there is room for.
func (m *model) keys(s *screen, before string, list ...string) {
	s.add(m.styles.usual, before)
	for i := 0; i+1 < len(list); i += 2 {
		gap := 2
		if i == 0 {
			gap = 0
		}
		need := gap + len([]rune(list[i])) + 1 + len(list[i+1])
		if need > s.left() {
			return
		}
		s.add(m.styles.usual, "  "[:gap]).add(m.styles.key, list[i]).add(m.styles.dim, " "+list[i+1])
	}
}

// drawHelp draws what the keys do.
func (m *model) drawHelp(s *screen) {
	st := m.styles
	s.add(st.title, "spoked top").add(st.dim, "  a live view of a server's tubes").end()
	s.end()
	for _, k := range keyHelp() {
		if k[0] == "" {
			s.add(st.dim, k[1]).end()
			continue
		}
		s.add(st.key, fit(k[0], 19)).add(st.usual, k[1]).end()
	}
}

// keyHelp is what the keys do.
func keyHelp() [][2]string {
	return [][2]string{
		{"↑ ↓ j k", "move; also PgUp PgDn Home End, g G, Ctrl-U Ctrl-D"},
		{"enter, →", "look into the tube: its figures, jobs and clients"},
		{"esc, ←", "go back; or show all tubes again"},
		{"s S", "sort by the next column, or the one before"},
		{"r", "turn the order round"},
		{"/", "show tubes with these letters in their names"},
		{"space", "hold the picture, or let it go on"},
		{"p", "pause the tube, or end its pause; asks first"},
		{"K", "kick buried jobs, or else delayed ones; asks first"},
		{"? q", "this help; quit"},
		{"", ""},
		{"READY to BURIED", "jobs now, by state; READY SO FAR has the last half minute"},
		{"IN/S OUT/S", "jobs put and deleted a second"},
		{"WAIT", "workers that wait for a job of this tube"},
		{"OLDEST", "how long ago the oldest ready job was put"},
		{"PAUSE", "how long no job may be reserved"},
		{"-", "the server does not say; over the wire, OLDEST and others"},
	}
}
