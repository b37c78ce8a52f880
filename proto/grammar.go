package proto

// grammar is the whole grammar. A line is the command of the first row whose
// prefix it begins with, and then the row's steps are taken left to right over
// what follows the prefix. The first step that fails refuses the line with
// BAD_FORMAT; a line that no row claims gets UNKNOWN_COMMAND.
//
// Prefixes, their trailing spaces, the order of the rows and the order of the
// steps are beanstalkd 1.13's, but for the commands that are added, and all of them show: "peek" is unknown but
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

	{OpCapabilities, "capabilities", steps{atEnd}},
	{OpPing, "ping", steps{atEnd}},
	{OpListJobs, "list-jobs", steps{
		skipSpaces, readName, validName, enough, readState, enough, readID, enough, readBatch, atEnd}},
	{OpReserveBatch, "reserve-batch", steps{readBatch, enough, readWait, atEnd}},
	{OpDeleteBatch, "delete-batch", steps{readIDs, atEnd}},
	{OpFlushTube, "flush-tube", steps{skipSpaces, readName, validName, atEnd}},
	{OpTruncate, "truncate", steps{skipSpaces, readName, validName, atEnd}},
	{OpDeleteTube, "delete-tube", steps{skipSpaces, readName, validName, atEnd}},
	{OpDrain, "drain", steps{atEnd}},
	{OpUndrain, "undrain", steps{atEnd}},
}

// row is one command: the bytes its line begins with, and how the rest is read.
// Of a command that is added they are a whole word, behind which the line ends or a
// space follows.
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
	readState               // one or more of these, too: a word
	readBatch               // number from 1 to MaxBatch
	readWait                // number up to MaxTimeout
	readIDs                 // one to MaxBatch numbers up to 2^64-1

	validName        // the name read is a valid tube name
	skipSpaces       // any number of spaces; numbers do this for themselves
	forgiveOversized // if the body is over the limit, what follows does not matter
	counted          // from here on, a refusal is Command.Counted; parse keeps it
	atEnd            // the line ends here
	ignoreRest       // whatever follows does not matter
	enough           // the line may end here; parse sees to it
)

// rowsByFirst holds the rows of grammar by the first byte of their prefix, those of
// beanstalkd's in the order of grammar, so that a look-up makes at most six
// comparisons; and addedByFirst those that are added. Of these "reserve-batch" begins
// like another, which is why find looks twice at a reserve that goes on.
var (
	rowsByFirst  = groupByFirst(grammar[:], false)
	addedByFirst = groupByFirst(grammar[:], true)
)

func groupByFirst(rows []row, added bool) (groups [256][]row) {
	for _, r := range rows {
		if r.op.Added() == added {
			first := r.prefix[0]
			groups[first] = append(groups[first], r)
		}
	}
	return groups
}

// find returns the row that claims line, or nil.
func (d *Decoder) find(line []byte) *row {
	if len(line) == 0 {
		return nil
	}
	rows := rowsByFirst[line[0]]
	for i := range rows {
		r := &rows[i]
		if len(line) < len(r.prefix) || string(line[:len(r.prefix)]) != r.prefix {
			continue
		}
		if r.op == OpReserve && len(line) > len(r.prefix) {
			if a := d.findAdded(line); a != nil {
				return a
			}
		}
		return r
	}
	return d.findAdded(line)
}

// findAdded returns the row of an added command that claims line, or nil.
func (d *Decoder) findAdded(line []byte) *row {
	if d.Strict {
		return nil
	}
	rows := addedByFirst[line[0]]
	for i := range rows {
		r := &rows[i]
		if n := len(r.prefix); len(line) >= n && string(line[:n]) == r.prefix && (len(line) == n || line[n] == ' ') {
			return r
		}
	}
	return nil
}

// parse reads line, a command line without its CRLF, into cmd. Tube points
// into line. It returns Request or Refused.
func (d *Decoder) parse(line []byte, cmd *Command) Event {
	r := d.find(line)
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
		if s == enough {
			if len(rest) == 0 {
				break
			}
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

// readList reads as many ids as there are at the front of s.
func readList(s []byte, cmd *Command) (rest []byte, ok bool) {
	rest = s
	for {
		_, after, ok := number(rest, 1<<64-1)
		if !ok {
			break
		}
		rest = after
		cmd.Count++
	}
	cmd.list = s[:len(s)-len(rest)]
	return rest, cmd.Count > 0 && cmd.Count <= MaxBatch
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
	case readState:
		cmd.State, rest = name(trimSpaces(s))
		ok = len(cmd.State) > 0
	case readBatch:
		var count uint64
		count, rest, ok = number(s, MaxBatch)
		cmd.Count, ok = uint32(count), ok && count > 0
	case readWait:
		var seconds uint64
		seconds, rest, ok = number(s, MaxTimeout)
		cmd.Timeout = int64(seconds)
	case readIDs:
		rest, ok = readList(s, cmd)
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
