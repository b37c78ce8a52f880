package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

const dash = "-" // for what is not known

// count writes a number in at most six cells: as it is up to 99999, then 100k to
// 999k, 1.00M, and so on.
func count(n int64) string {
	switch {
	case n < 0:
		return dash
	case n < 100_000:
		return strconv.FormatInt(n, 10)
	}
	return scaled(float64(n), 1000, []string{"", "k", "M", "G", "T", "P", "E"})
}

// perSecond writes a rate in at most six cells.
func perSecond(v float64) string {
	switch {
	case math.IsNaN(v) || v < 0:
		return dash
	case v == 0:
		return "0"
	case v < 0.1:
		return "<0.1"
	case v < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return count(int64(v + 0.5))
}

// size writes a number of bytes in at most seven cells.
func size(n int64) string {
	switch {
	case n < 0:
		return dash
	case n < 1024:
		return strconv.FormatInt(n, 10) + "B"
	}
	return scaled(float64(n), 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"})
}

// scaled writes three digits and a unit.
func scaled(v, step float64, units []string) string {
	i := 0
	for v >= step-step/2000 && i < len(units)-1 {
		v /= step
		i++
	}
	digits := 0
	switch {
	case i == 0 || v >= 99.95:
	case v >= 9.995:
		digits = 1
	default:
		digits = 2
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[i]
}

// span writes a time in at most six cells, in its two largest units.
func span(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case d < 0:
		return dash
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	case s < 100*86400:
		return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
	case s < 100_000*86400:
		return fmt.Sprintf("%dd", s/86400)
	}
	return "ages"
}

// percent writes a share of one processor.
func percent(v float64) string {
	if math.IsNaN(v) || v < 0 {
		return dash
	}
	return strconv.FormatFloat(100*v, 'f', 0, 64) + "%"
}

// plural writes a number with a word for what there is so many of.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// spark draws the last values of a trend, as many as there are cells, from 0 to the
// largest of them.
func spark(trend []float32, cells int) string {
	if cells <= 0 {
		return ""
	}
	trend = trend[max(0, len(trend)-cells):]
	most := float32(0)
	for _, v := range trend {
		most = max(most, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", cells-len(trend)))
	levels := []rune("▁▂▃▄▅▆▇█")
	for _, v := range trend {
		i := 0
		if most > 0 {
			i = min(int(v/most*float32(len(levels))), len(levels)-1)
		}
		b.WriteRune(levels[i])
	}
	return b.String()
}

// fit returns text in exactly that many cells: cut, with a mark where it was cut, or
// filled up.
func fit(text string, cells int) string {
	text, used := cut(text, cells)
	return text + strings.Repeat(" ", cells-used)
}

// right returns text in exactly that many cells, at the right.
func right(text string, cells int) string {
	text, used := cut(text, cells)
	return strings.Repeat(" ", cells-used) + text
}

// cut returns text in at most that many cells, and how many those are.
func cut(text string, cells int) (string, int) {
	cells = max(cells, 0)
	if len(text) <= cells && isASCII(text) {
		return text, len(text)
	}
	if w := lipgloss.Width(text); w <= cells {
		return text, w
	}
	if cells == 0 {
		return "", 0
	}
	used := 0
	for i, r := range text {
		w := 1
		if r >= 0x80 {
			w = lipgloss.Width(string(r))
		}
		if used+w > cells-1 {
			return text[:i] + "…", used + 1
		}
		used += w
	}
	return text, used
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
