package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"spoked/internal/api"
	"spoked/internal/wire"
)

// printJSON prints v, indented.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// jsonLine prints v on a line.
func jsonLine(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// buffered hands f a buffer in front of standard output, and empties it at the end.
func (p *Program) buffered(f func(out *bufio.Writer) error) error {
	out := bufio.NewWriter(p.Stdout)
	err := f(out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// grid is a table that is printed in parts: its columns are as wide as what was in them
// so far.
type grid struct {
	width []int
	left  []bool
}

// table prints a table at once.
func table(out io.Writer, rows [][]string) error { return new(grid).print(out, rows) }

// print prints rows in columns that are aligned. The first rows begin with the names of
// the columns; one whose name begins with "<" is aligned to the left.
func (g *grid) print(out io.Writer, rows [][]string) error {
	if g.width == nil && len(rows) > 0 {
		g.width, g.left = make([]int, len(rows[0])), make([]bool, len(rows[0]))
		for i, name := range rows[0] {
			rows[0][i], g.left[i] = strings.CutPrefix(name, "<")
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			g.width[i] = max(g.width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.Reset()
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", g.width[i]-utf8.RuneCountInString(cell))
			if g.left[i] {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// pairs prints names and values, one a line.
func pairs(out io.Writer, d wire.Dict) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range d {
		fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Value)
	}
	return w.Flush()
}

// count returns a number as people write it.
func count[T int | uint32 | uint64 | int64](n T) string { return humanize.Comma(int64(n)) }

// bytesText returns a size as people write it.
func bytesText[T int | uint32 | uint64 | int64](n T) string {
	return humanize.IBytes(uint64(max(n, 0)))
}

// span of time as people write it: two units at most.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0s"
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < day:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	case d < 365*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%.1fy", d.Hours()/24/365)
}

// plural returns "1 job" or "2 jobs".
func plural[T int | uint64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}

// preview returns how a body begins, on one line.
func preview(c api.Content, truncated bool) string {
	const most = 60
	text := strconv.Quote(string(c.Bytes()))
	text = strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	if truncated {
		return text + "..."
	}
	return text
}

// jobHeader returns what there is to say about a job, on one line.
func jobHeader(j *api.Job) string {
	parts := []string{fmt.Sprintf("job %d", j.ID), "tube " + j.Tube, j.State, fmt.Sprintf("pri %d", j.Pri),
		bytesText(j.Size), "age " + lasting(time.Duration(j.Age))}
	if j.TimeLeft > 0 {
		parts = append(parts, lasting(time.Duration(j.TimeLeft))+" left")
	}
	return strings.Join(parts, ", ")
}

// printBody prints a body as it is; on a terminal it ends its last line.
func (p *Program) printBody(out io.Writer, body []byte, always bool) error {
	_, err := out.Write(body)
	if err == nil && (always || isTerminal(p.Stdout)) && (len(body) == 0 || body[len(body)-1] != '\n') {
		_, err = io.WriteString(out, "\n")
	}
	return err
}

// isTerminal reports whether somebody types at f, or reads from it.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// dictJSON returns a mapping as a JSON object; what is a number becomes one.
func dictJSON(d wire.Dict) any {
	texts := []string{"name", "tube", "state", "id", "hostname", "version", "os", "platform"}
	var b strings.Builder
	b.WriteByte('{')
	for i, p := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		value := []byte(p.Value)
		if slices.Contains(texts, p.Name) || !json.Valid(value) {
			value, _ = json.Marshal(p.Value)
		}
		fmt.Fprintf(&b, "%q:%s", p.Name, value)
	}
	b.WriteByte('}')
	return json.RawMessage(b.String())
}

// readable returns the figures of stats as people write them.
func readable(d wire.Dict) wire.Dict {
	out := make(wire.Dict, 0, len(d))
	for _, p := range d {
		n, err := strconv.ParseUint(p.Value, 10, 63)
		switch {
		case err != nil || p.Name == "pid" || p.Name == "id":
		case strings.HasSuffix(p.Name, "-size"):
			p.Value = bytesText(n)
		case p.Name == "uptime" || p.Name == "pause" || p.Name == "pause-time-left":
			p.Value = lasting(time.Duration(n) * time.Second)
		default:
			p.Value = count(n)
		}
		out = append(out, p)
	}
	return out
}

// statusDict returns a status as names and values.
func statusDict(s *api.Status) wire.Dict {
	d := wire.Dict{
		{Name: "server", Value: s.Name + " " + s.Version + " (" + s.Protocol + ")"},
		{Name: "state", Value: s.State},
		{Name: "address", Value: s.Address},
		{Name: "host", Value: fmt.Sprintf("%s, pid %d", s.Hostname, s.PID)},
		{Name: "uptime", Value: lasting(time.Duration(s.Uptime))},
		{Name: "cpu", Value: fmt.Sprintf("%v user, %v system", time.Duration(s.CPUUser).Round(time.Millisecond), time.Duration(s.CPUSystem).Round(time.Millisecond))},
		{Name: "largest job", Value: bytesText(s.MaxJobSize)},
		{Name: "ready", Value: count(s.Jobs.Ready)},
		{Name: "urgent", Value: count(s.Jobs.Urgent)},
		{Name: "delayed", Value: count(s.Jobs.Delayed)},
		{Name: "reserved", Value: count(s.Jobs.Reserved)},
		{Name: "buried", Value: count(s.Jobs.Buried)},
		{Name: "bodies", Value: bytesText(s.BodyBytes)},
		{Name: "jobs ever", Value: count(s.TotalJobs)},
		{Name: "timeouts", Value: count(s.Timeouts)},
		{Name: "tubes", Value: count(s.Tubes)},
		{Name: "connections", Value: fmt.Sprintf("%s now: %s producers, %s workers, %s waiting; %s ever", count(s.Connections.Now),
			count(s.Connections.Producers), count(s.Connections.Workers), count(s.Connections.Waiting), count(s.Connections.Total))},
	}
	if j := s.Journal; j != nil {
		d = append(d, wire.Pair{Name: "journal", Value: fmt.Sprintf("%s on disk in %s, of which the jobs need %s",
			bytesText(j.Disk), plural(j.Segments, "segment"), bytesText(j.Live))})
	}
	return d
}

// sorted returns names in order.
func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
