package top

import (
	"strings"

	"charm.land/lipgloss/v2"
)

type style = lipgloss.Style

// styles are how things look. The zero value of each is plain text.
type styles struct {
	usual, dim, strong, title, head, sorted, selected style
	good, warn, bad, alert, alarm, trend, key         style
}

// colored returns the styles for a terminal with a dark or a light background. The
// terminal's own colors are used where they can be read on both; what a terminal
// cannot show, or NO_COLOR forbids, is taken out when it is written.
func colored(dark bool) *styles {
	either := lipgloss.LightDark(dark)
	pick := func(light, dark string) style {
		return lipgloss.NewStyle().Foreground(either(lipgloss.Color(light), lipgloss.Color(dark)))
	}
	return &styles{
		usual:    lipgloss.NewStyle(),
		dim:      pick("243", "245"),
		strong:   lipgloss.NewStyle().Bold(true),
		title:    pick("25", "117").Bold(true),
		head:     pick("25", "117").Bold(true),
		sorted:   pick("25", "117").Bold(true).Underline(true),
		selected: lipgloss.NewStyle().Reverse(true),
		good:     pick("28", "114"),
		warn:     pick("130", "221"),
		bad:      pick("160", "210"),
		alert:    pick("130", "221").Bold(true),
		alarm:    pick("160", "210").Bold(true),
		trend:    pick("31", "74"),
		key:      lipgloss.NewStyle().Bold(true),
	}
}

// when returns then if it is so.
func (s *styles) when(so bool, then style) style {
	if so {
		return then
	}
	return s.usual
}

// A screen is made line by line, none wider than the terminal.
type screen struct {
	width int
	lines []string

	b    strings.Builder
	used int // cells of the line that is being made
}

// add appends text to the line, as much as there is room for.
func (s *screen) add(st style, text string) *screen {
	text, n := cut(text, s.width-s.used)
	if n == 0 {
		return s
	}
	s.used += n
	s.b.WriteString(st.Render(text))
	return s
}

// atRight has the line end with text, if there is room for it and a gap.
func (s *screen) atRight(st style, text string) *screen {
	gap := s.width - s.used - lipgloss.Width(text)
	if gap < 1 {
		return s
	}
	s.b.WriteString(strings.Repeat(" ", gap))
	s.used += gap
	return s.add(st, text)
}

// end ends the line.
func (s *screen) end() {
	s.lines = append(s.lines, s.b.String())
	s.b.Reset()
	s.used = 0
}

// left is how many cells are left in the line.
func (s *screen) left() int { return s.width - s.used }

// fill appends empty lines until there are n.
func (s *screen) fill(n int) {
	for len(s.lines) < n {
		s.end()
	}
}

// text returns at most n lines.
func (s *screen) text(n int) string {
	return strings.Join(s.lines[:min(n, len(s.lines))], "\n")
}
