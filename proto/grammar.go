package proto

// grammar is the whole grammar. A line is the command of the first row whose
// prefix it begins with, and then the row's steps are taken left to right over
// what follows the prefix. The first step that fails refuses the line with
// BAD_FORMAT; a line that no row claims gets UNKNOWN_COMMAND.
//
// Prefixes, their trailing spaces, the order of the rows and the order of the
// steps are beanstalkd 1.13's, and all of them show: "peek" is unknown but
// "reserve-job" is a malformed reserve, "quitx" quits, and "pause-tubefoo 5"
// pauses foo. A prefix must not stand below a prefix of itself (stats-job
// above stats): it would never be reached.
//
// To add a command: add its Op to the list in command.go, its row here at the
// same place, and its cases to the tables in grammar_test.go. A new kind of
// argument is a step, a field of Command, and a case in Decoder.take.
var grammar = [NumOps - 1]row{
	{OpPut, "put ", steps{readPri, readDelay, readTTR, readSize, counted, forgiveOversized, atEnd}},
	{OpPeek, "peek ", steps{readID, atEnd}},
	{OpPeekReady, "peek-ready", steps{atEnd}},
	{OpPeekDelayed, "peek-delayed", steps{atEnd}},
	{OpPeekBuried, "peek-buried", steps{atEnd}},
	{OpReserveWithTimeout, "reserve-with-timeout ", steps{readTimeout, ignoreRest}},
	{OpReserveJob, "reserve-job ", steps{readID, atEnd}},
	{OpReserve, "reserve", steps{atEnd}},
	{OpDelete, "delete ", steps{readID, atEnd}},
	{OpRelease, "release ", steps{readID, readPri, readDelay, atEnd}},
	{OpBury, "bury ", steps{readID, readPri, atEnd}},
	{OpKick, "kick ", steps{readCount, ignoreRest}},
	{OpKickJob, "kick-job ", steps{readID, atEnd}},
	{OpTouch, "touch ", steps{readID, atEnd}},
	{OpStatsJob, "stats-job ", steps{readID, atEnd}},
	{OpStatsTube, "stats-tube ", steps{readName, validName, atEnd}},
	{OpStats, "stats", steps{atEnd}},
	{OpUse, "use ", steps{readName, validName, atEnd}},
	{OpWatch, "watch ", steps{readName, validName, atEnd}},
	{OpIgnore, "ignore ", steps{readName, validName, atEnd}},
	{OpListTubesWatched, "list-tubes-watched", steps{atEnd}},
	{OpListTubeUsed, "list-tube-used", steps{atEnd}},
	{OpListTubes, "list-tubes", steps{atEnd}},
	{OpQuit, "quit", steps{ignoreRest}},
	{OpPauseTube, "pause-tube", steps{skipSpaces, readName, readDelay, atEnd, counted, validName}},
}

// row is one command: the bytes its line begins with, and how the rest is read.
type row struct {
	op     Op
	prefix string
	steps  steps
}

type steps []step

// step reads one argument, or makes one test, at the point the line has been
// read to.
type step uint8

const (
	readID      step = iota // number up to 2^64-1
	readPri                 // number up to 2^32-1
	readDelay               // number up to 2^32-1, seconds
	readTTR                 // number up to 2^32-1, seconds
	readSize                // number up to 2^32-1, bytes
	readCount               // number as C's strtoul reads it, cut to 32 bits
	readTimeout             // number up to MaxTimeout; as C's strtol reads it if Decoder.Lax
	readName                // one or more bytes that may stand in a tube name

	validName        // the name read is a valid tube name
	skipSpaces       // any number of spaces; numbers do this for themselves
	forgiveOversized // if the body is over the limit, what follows does not matter
	counted          // from here on, a refusal is Command.Counted; parse keeps it
	atEnd            // the line ends here
	ignoreRest       // whatever follows does not matter
)

// rowsByFirst holds the rows of grammar by the first byte of their prefix, in
// the order of grammar, so that a look-up makes at most six comparisons.
var rowsByFirst = groupByFirst(grammar[:])

func groupByFirst(rows []row) (groups [256][]row) {
	for _, r := range rows {
		first := r.prefix[0]
		groups[first] = append(groups[first], r)
	}
	return groups
}

// find returns the row that claims line, or nil.
func find(line []byte) *row {
	if len(line) == 0 {
		return nil
	}
	rows := rowsByFirst[line[0]]
	for i := range rows {
		r := &rows[i]
		if len(line) >= len(r.prefix) && string(line[:len(r.prefix)]) == r.prefix {
			return r
		}
	}
	return nil
}

// parse reads line, a command line without its CRLF, into cmd. Tube points
// into line. It returns Request or Refused.
func (d *Decoder) parse(line []byte, cmd *Command) Event {
	r := find(line)
	if r == nil {
		return refuse(cmd, Command{Status: UnknownCommand})
	}

	*cmd = Command{Op: r.op}
	rest := line[len(r.prefix):]
	wasCounted := false
	for _, s := range r.steps {
		if s == counted {
			wasCounted = true
			continue
		}
		var ok bool
		if rest, ok = d.take(s, rest, cmd); !ok {
			return refuse(cmd, Command{Op: r.op, Status: BadFormat, Counted: wasCounted})
		}
	}
	return Request
}

// refuse overwrites cmd, so that arguments read before the bad one are not seen.
func refuse(cmd *Command, with Command) Event {
	*cmd = with
	return Refused
}

// take performs one step at the front of s, and returns what is left of s.
func (d *Decoder) take(st step, s []byte, cmd *Command) (rest []byte, ok bool) {
	switch st {
	case readID:
		cmd.ID, rest, ok = number(s, 1<<64-1)
	case readPri:
		cmd.Pri, rest, ok = number32(s)
	case readDelay:
		cmd.Delay, rest, ok = number32(s)
	case readTTR:
		cmd.TTR, rest, ok = number32(s)
	case readSize:
		cmd.Size, rest, ok = number32(s)
	case readCount:
		// What follows the number is never looked at.
		cmd.Count, ok = kickCount(s)
	case readTimeout:
		if d.Lax {
			cmd.Timeout, ok = laxTimeout(s)
			break
		}
		var seconds uint64
		seconds, rest, ok = number(s, MaxTimeout)
		cmd.Timeout = int64(seconds)
	case readName:
		cmd.Tube, rest = name(s)
		ok = len(cmd.Tube) > 0
	case validName:
		rest, ok = s, ValidTube(cmd.Tube)
	case skipSpaces:
		rest, ok = trimSpaces(s), true
	case forgiveOversized:
		rest, ok = s, true
		if cmd.Size > d.MaxJobSize {
			rest = nil
		}
	case atEnd:
		ok = len(s) == 0
	case ignoreRest:
		ok = true
	}
	return rest, ok
}
