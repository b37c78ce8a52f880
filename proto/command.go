package proto

import (
	"iter"
	"strings"
)

// Op names a command of the protocol. The zero Op, OpNone, is no command.
type Op uint8

// The commands, in the order of the grammar.
const (
	OpNone Op = iota
	OpPut
	OpPeek
	OpPeekReady
	OpPeekDelayed
	OpPeekBuried
	OpReserveWithTimeout
	OpReserveJob
	OpReserve
	OpDelete
	OpRelease
	OpBury
	OpKick
	OpKickJob
	OpTouch
	OpStatsJob
	OpStatsTube
	OpStats
	OpUse
	OpWatch
	OpIgnore
	OpListTubesWatched
	OpListTubeUsed
	OpListTubes
	OpQuit
	OpPauseTube

	// What this server adds; see Op.Added.
	OpCapabilities
	OpPing
	OpListJobs
	OpReserveBatch
	OpDeleteBatch
	OpFlushTube
	OpTruncate
	OpDeleteTube
	OpDrain
	OpUndrain

	// NumOps is the length of an array indexed by Op, OpNone included.
	NumOps = iota

	firstAdded = OpCapabilities
)

// String returns the command's word as it is sent, "reserve-with-timeout" for
// OpReserveWithTimeout, and "none" for OpNone. It does not allocate.
func (o Op) String() string {
	if o == OpNone || o >= NumOps {
		return "none"
	}
	return strings.TrimSuffix(grammar[o-1].prefix, " ")
}

// Added reports whether the command is none of beanstalkd's. A strict decoder
// ([Decoder.Strict]) does not know it.
func (o Op) Added() bool { return o >= firstAdded && o < NumOps }

// Status says why a line was refused; [Status.Reply] is the answer to send.
type Status uint8

const (
	StatusOK       Status = iota // not refused
	BadFormat                    // arguments malformed, line too long, or a NUL in it
	UnknownCommand               // no command begins like this
)

// Forever is the Timeout of a reserve-with-timeout that waits without limit.
// Only beanstalkd 1.12's reading of the number ([Decoder.Lax]) yields it.
const Forever int64 = -1

// Command is one decoded command line. Fields that the command does not have
// are zero, and so are all arguments of a refused one.
type Command struct {
	Op     Op     // of a refused line, the command it began like, if any
	Status Status // of a refused line, how to answer it

	// Counted tells that beanstalkd had already counted the command in stats
	// when it refused it: a put with something behind its last number, a
	// pause-tube with a bad name. Every Request is counted; Counted is false
	// for it.
	Counted bool

	ID      uint64 // job id
	Pri     uint32 // 0 is the most urgent
	Delay   uint32 // seconds: put, release, pause-tube
	TTR     uint32 // seconds: put; as sent, so 0 is still 0
	Size    uint32 // bytes of body without its CRLF: put
	Count   uint32 // kick, and of at most MaxBatch: reserve-batch, delete-batch, list-jobs
	Timeout int64  // seconds: reserve-batch; or Forever: reserve-with-timeout

	Tube  []byte // tube name; borrowed until the next call of Next
	Data  []byte // body bytes of Chunk and BodyEnd; borrowed likewise
	State []byte // a word: list-jobs; borrowed likewise
	list  []byte // ids of delete-batch, well formed; borrowed likewise
}

// IDs yields the ids of a delete-batch, as many as Count says. They are borrowed as
// Tube is.
func (c *Command) IDs() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for rest := c.list; ; {
			id, after, ok := number(rest, 1<<64-1)
			if !ok || !yield(id) {
				return
			}
			rest = after
		}
	}
}

// Event is what [Decoder.Next] found.
type Event uint8

const (
	// More: all input was consumed and no event is complete. Feed more.
	More Event = iota

	// Request: the Command is well formed. The body of a put comes next, as
	// any number of Chunks and then BodyEnd or BadTrailer; or, if its Size is
	// over the limit, as one Oversized.
	Request

	// Refused: Command.Status is the answer to the line. Nothing but the line
	// was consumed: the body of a refused put is read as commands.
	Refused

	// Chunk: Command.Data is the next part of the body, never empty.
	Chunk

	// BodyEnd: Command.Data is the last part of the body, perhaps empty, and
	// its CRLF was there.
	BodyEnd

	// BadTrailer: the two bytes after the body are not CRLF, answer
	// ExpectedCRLF. They were consumed all the same, exactly Size+2 bytes in
	// all, and the next byte begins a line: beanstalkd does not look for the
	// client's next command. Forget the Chunks; how much of such a body was
	// shown depends on how the input was cut.
	BadTrailer

	// Oversized: the body of a put over the limit was read and dropped, answer
	// JobTooBig.
	Oversized
)

var eventNames = [...]string{"More", "Request", "Refused", "Chunk", "BodyEnd", "BadTrailer", "Oversized"}

// String returns the event's name, for tests and debugging.
func (e Event) String() string {
	if int(e) >= len(eventNames) {
		return "Event?"
	}
	return eventNames[e]
}
