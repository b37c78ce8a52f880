package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"spoked/internal/config"
	"spoked/internal/journal"
)

func (p *Program) journalStat(w words, out *bufio.Writer) error {
	s, err := journal.ReadStat(w.args[0], now())
	if err != nil {
		return err
	}
	if w.json {
		return printJSON(out, s)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("journal", "%s", s.Dir)
	switch {
	case s.InUse:
		line("server", "is using it")
	case s.Newest == 0:
		line("server", "none; nothing has been recorded")
	case s.Stopped:
		line("server", "none; the last one was stopped")
	default:
		line("server", "none; the last one was not stopped: it crashed, or this is a backup")
	}
	if s.Torn != nil {
		line("torn tail", "%s:%d: it ends in the middle of a write, and will be cut there", s.Torn.File, s.Torn.Offset)
	}
	line("segments", "%d on disk, with %d bytes; the log is in %d to %d", s.Segments, s.Disk, s.Oldest, s.Newest)
	line("log", "%d bytes, of which the jobs need %d", s.Used, s.Live)
	line("next id", "%d", s.NextID)
	line("jobs", "%d: %d ready, %d delayed, %d buried", s.Jobs.Total(), s.Jobs.Ready, s.Jobs.Delayed, s.Jobs.Buried)
	if len(s.Tubes) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n%10s %10s %10s  tube\n", "ready", "delayed", "buried")
	for _, t := range s.Tubes {
		fmt.Fprintf(out, "%10d %10d %10d  %s", t.Jobs.Ready, t.Jobs.Delayed, t.Jobs.Buried, t.Name)
		if t.PausedUntil != nil {
			fmt.Fprintf(out, " (paused until %s)", t.PausedUntil.Format(time.RFC3339))
		}
		fmt.Fprintln(out)
	}
	return nil
}

// describe returns a problem as FILE:FROM-TO: WHAT.
func describe(b journal.Problem) string {
	s := b.File
	if b.From > 0 || b.To > 0 {
		s += ":" + strconv.FormatInt(b.From, 10)
	}
	if b.Bytes() > 0 {
		s += "-" + strconv.FormatInt(b.To, 10)
	}
	s += ": " + b.What
	if b.Bytes() > 0 {
		s += fmt.Sprintf(" (%d bytes)", b.Bytes())
	}
	if b.Tail {
		s += "; it can be what a crash leaves, which is no damage: a server cuts the log there"
	}
	return s
}

func (p *Program) journalCheck(w words, out *bufio.Writer) error {
	c, err := journal.Check(w.args[0], now())
	if err != nil {
		return err
	}
	verdict := error(nil)
	if !c.OK {
		verdict = errDamaged
	}
	if w.json {
		if c.Problems == nil {
			c.Problems = []journal.Problem{}
		}
		if err := printJSON(out, c); err != nil {
			return err
		}
		return verdict
	}
	for _, b := range c.Problems {
		fmt.Fprintln(out, describe(b))
	}
	fmt.Fprintf(out, "%d segments, %d frames, %d records\n", c.Segments, c.Frames, c.Records)
	if c.OK {
		fmt.Fprintf(out, "fine: a server starts with it, and has %d jobs\n", c.Jobs)
	} else {
		fmt.Fprintf(out, "damaged: `spoked journal repair %s NEW` makes a journal in NEW of all that can be read\n", w.args[0])
	}
	return verdict
}

func (p *Program) journalRepair(w words, out *bufio.Writer) error {
	r, err := journal.Repair(w.args[0], w.args[1], config.Default().JournalSegmentSize, now())
	if err != nil {
		return err
	}
	if w.json {
		if r.Lost == nil {
			r.Lost = []journal.Problem{}
		}
		return printJSON(out, r)
	}
	damaged := false
	for _, b := range r.Lost {
		fmt.Fprintln(out, "lost:", describe(b))
		damaged = damaged || !b.Tail
	}
	fmt.Fprintf(out, "read %d segments, %d frames, %d records; lost %d bytes in %d places\n",
		r.Segments, r.Frames, r.Records, r.Bytes, len(r.Lost))
	fmt.Fprintf(out, "wrote %d jobs to %s; the next id is %d; start with it: spoked -b %s\n", r.Jobs, r.New, r.NextID, r.New)
	if damaged {
		fmt.Fprintln(out, "warning: jobs that were deleted in what is lost may be back, and jobs that were put in it are gone")
	}
	return nil
}

func (p *Program) journalExport(w words, out *bufio.Writer) error {
	if w.format != "beanstalkd" {
		return misuse("unknown format: %s (want beanstalkd)", w.format)
	}
	x, err := journal.Export(w.args[0], w.args[1], now())
	if err != nil {
		return err
	}
	if w.json {
		return printJSON(out, x)
	}
	if x.Torn != nil {
		fmt.Fprintf(out, "note: the journal ends in the middle of a write, at %s:%d\n", x.Torn.File, x.Torn.Offset)
	}
	if len(x.Pauses) > 0 {
		fmt.Fprintf(out, "warning: beanstalkd does not keep pauses; left out: that of %s\n", strings.Join(x.Pauses, ", "))
	}
	limit := ""
	if len(x.Large) > 0 {
		limit = fmt.Sprintf(" -z %d", x.Limit)
		fmt.Fprintf(out, "warning: without%s beanstalkd leaves out %d jobs, whose bodies are larger than 65533 bytes: %s\n",
			limit, len(x.Large), listIDs(x.Large))
	}
	fmt.Fprintf(out, "wrote %d jobs to %d files in %s; the next id is %d; start with them: beanstalkd -b %s%s\n",
		x.Jobs, x.Files, x.To, x.NextID, x.To, limit)
	return nil
}

// listIDs lists ids, and after some of them only counts.
func listIDs(ids []uint64) string {
	const most = 100
	var b strings.Builder
	for i, id := range ids[:min(len(ids), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(id, 10))
	}
	if n := len(ids) - most; n > 0 {
		fmt.Fprintf(&b, " and %d more; --json lists all", n)
	}
	return b.String()
}

// shortBody is how much of a body is printed without --bodies, in bytes.
const shortBody = 64

func (p *Program) journalDump(w words, out *bufio.Writer) error {
	most := shortBody
	if w.bodies {
		most = int(^uint(0) >> 1)
	}
	show := func(fields []journal.Field) error { return printFields(out, fields) }
	if w.json {
		show = func(fields []journal.Field) error { return printFieldsJSON(out, fields) }
	}
	if w.jobs {
		return journal.DumpJobs(w.args[0], now(), most, show)
	}
	var verdict error
	err := journal.Dump(w.args[0], most, show, func(b journal.Problem) {
		out.Flush()
		fmt.Fprintln(p.Stderr, describe(b))
		if !b.Tail {
			verdict = errDamaged
		}
	})
	if err != nil {
		return err
	}
	return verdict
}

// printFields prints fields as a line of NAME=VALUE.
func printFields(out *bufio.Writer, fields []journal.Field) error {
	for i, f := range fields {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(f.Name)
		out.WriteByte('=')
		switch v := f.Value.(type) {
		case time.Time:
			out.WriteString(v.Format(time.RFC3339Nano))
		case journal.Body:
			out.WriteString(strconv.Quote(string(v.Data)))
			if v.Size > len(v.Data) {
				fmt.Fprintf(out, "... (%d bytes)", v.Size)
			}
		default:
			fmt.Fprint(out, v)
		}
	}
	return out.WriteByte('\n')
}

// printFieldsJSON prints fields as an object on a line. Durations are in
// seconds. A body that is not UTF-8 is in base64, as body_base64.
func printFieldsJSON(out *bufio.Writer, fields []journal.Field) error {
	begin := byte('{')
	for _, f := range fields {
		name, value := f.Name, f.Value
		switch v := value.(type) {
		case time.Duration:
			value = v.Seconds()
		case journal.Body:
			value = string(v.Data)
			if data := wholeRunes(v); !utf8.Valid(data) {
				name, value = name+"_base64", v.Data
			} else {
				value = string(data)
			}
			out.WriteByte(begin)
			fmt.Fprintf(out, `"body_bytes":%d`, v.Size)
			begin = ','
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		out.WriteByte(begin)
		fmt.Fprintf(out, "%q:%s", name, text)
		begin = ','
	}
	_, err := out.WriteString("}\n")
	return err
}

// wholeRunes returns what is there of a body, without a rune at its end that
// has been cut in two.
func wholeRunes(b journal.Body) []byte {
	if len(b.Data) == b.Size {
		return b.Data
	}
	for n := 1; n < utf8.UTFMax && n <= len(b.Data); n++ {
		if c := b.Data[len(b.Data)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b.Data[len(b.Data)-n:]) {
				return b.Data[:len(b.Data)-n]
			}
			break
		}
	}
	return b.Data
}
