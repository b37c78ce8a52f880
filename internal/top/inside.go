package top

import (
	"fmt"
	"strconv"
	"strings"
)

// drawInside draws the tube that is looked into. What there is no room for can be
// scrolled to.
func (m *model) drawInside(s *screen) {
	in, st := m.inside, m.styles
	m.drawTitle(s)
	s.add(st.dim, "tube ").add(st.title, printable([]byte(in.name)))
	r := m.rowOf(in.name)
	switch {
	case in.gone:
		s.add(st.usual, "  ").add(st.warn, "there is no such tube any more")
	case in.fault != nil && m.failure == nil:
		s.add(st.usual, "  ").add(st.bad, printable([]byte(in.fault.Error())))
	case r != nil && r.PauseLeft > 0:
		s.add(st.usual, "  ").add(st.warn, "paused for "+span(r.PauseLeft))
	}
	s.end()
	top := len(s.lines)
	body := &screen{width: s.width}
	if in.tube == nil {
		body.add(st.dim, "asking ...").end()
	} else {
		m.drawTubeFigures(body, in.tube, r)
		for _, state := range states() {
			m.drawJobs(body, in.tube, state)
		}
		m.drawClients(body, in.tube)
	}
	room := max(0, m.height-1-top)
	in.scroll = max(0, min(in.scroll, len(body.lines)-room))
	s.lines = append(s.lines, body.lines[in.scroll:min(in.scroll+room, len(body.lines))]...)
}

// drawTubeFigures draws the figures of a tube; r, which may be nil, has its rates.
func (m *model) drawTubeFigures(s *screen, t *Tube, r *row) {
	m.figures(s, "jobs   ", []figure{
		{"ready", count(t.Ready)}, {"urgent", count(t.Urgent)}, {"reserved", count(t.Reserved)},
		{"delayed", count(t.Delayed)}, {"buried", count(t.Buried)},
	})
	m.figures(s, "ever   ", []figure{{"put", count(t.Puts)}, {"deleted", count(t.Deletes)}, {"pauses", count(t.Pauses)}})
	m.figures(s, "clients", []figure{
		{"using", count(t.Using)}, {"watching", count(t.Watching)}, {"waiting", count(t.Waiting)},
		{"oldest ready", span(t.Oldest)},
	})
	if r == nil {
		return
	}
	const before = len("clients  ready 12345 ")
	cells := min(trendLength, s.width-before)
	for _, x := range []struct {
		title, value string
		trend        []float32
	}{
		{"in", perSecond(r.in) + "/s", r.ins}, {"out", perSecond(r.out) + "/s", r.outs}, {"ready", count(r.Ready), r.ready},
	} {
		s.add(m.styles.dim, fit(x.title, 9)).add(m.styles.strong, fit(x.value, before-9))
		s.add(m.styles.trend, strings.TrimLeft(spark(x.trend, cells), " ")).end()
	}
}

// drawJobs draws jobs of one state.
func (m *model) drawJobs(s *screen, t *Tube, state string) {
	st := m.styles
	all := t.jobsOf(state)
	if all == 0 {
		return
	}
	s.end()
	shown := 0
	for i := range t.Jobs {
		if t.Jobs[i].State == state {
			shown++
		}
	}
	title := fmt.Sprintf("%s  %s", strings.ToUpper(state), plural(all, "job", "jobs"))
	how := ""
	switch {
	case shown == 0 && state == stateReserved && !t.Lists:
		how = "which this server does not show"
	case shown == 0:
	case state == stateReserved:
		how = "by id"
	case shown == 1 || !t.Lists:
		how = "the next one"
	default:
		how = "the next one, then by id"
	}
	s.add(st.head, title).add(st.dim, "  "+how).end()
	if shown == 0 {
		return
	}
	left := "LEFT"
	s.add(st.dim, fmt.Sprintf("%10s %10s %7s %7s %7s %5s  %s", "ID", "PRI", "AGE", left, "SIZE", "RSVD", "BODY")).end()
	for i := range t.Jobs {
		j := &t.Jobs[i]
		if j.State != state {
			continue
		}
		s.add(st.usual, fmt.Sprintf("%10d %10d %7s %7s %7s %5s  ", j.ID, j.Pri, span(j.Age), span(j.Left), size(j.Size), count(j.Reserves)))
		if s.width < 70 { // a line of its own
			s.end()
			s.add(st.usual, "  ")
		}
		s.add(st.trend, printable(j.Body)).end()
	}
}

// drawClients draws the clients of a tube.
func (m *model) drawClients(s *screen, t *Tube) {
	if !t.Lists || len(t.Clients) == 0 {
		return
	}
	st := m.styles
	s.end()
	s.add(st.head, "CLIENTS").end()
	s.add(st.dim, fmt.Sprintf("%-28s %-5s %-16s %s", "FROM", "KIND", "DOES", "RESERVED")).end()
	for i := range t.Clients {
		c := &t.Clients[i]
		var does []string
		if c.Uses {
			does = append(does, "uses")
		}
		if c.Watches && !c.Waits {
			does = append(does, "watches")
		}
		look := st.usual
		if c.Watches && c.Waits {
			does = append(does, "waits")
			look = st.good
		}
		from := c.Address
		if from == "" {
			from = dash
		}
		s.add(look, fmt.Sprintf("%s %-5s %-16s %s", fit(printable([]byte(from)), 28), c.Kind, strings.Join(does, ", "), strconv.FormatInt(c.Holds, 10))).end()
	}
}
