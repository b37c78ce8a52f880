// Package proto is beanstalkd's wire protocol as values: bytes in, commands
// out; results in, bytes out. It is byte for byte beanstalkd 1.13, quirks
// included, because clients in a dozen languages depend on those bytes. A few
// commands are added, which are nothing to beanstalkd ([Op.Added]).
//
// It is not a server. It has no socket, no clock, no lock and no goroutine, and
// it knows nothing of jobs or tubes beyond how they are spelled. It also decides
// no policy: that a command is well formed is all a Request says.
//
// # The central idea
//
// The caller reads bytes however they come, and a [Decoder] turns them into the
// same events however they were cut: one byte at a time, or a thousand
// pipelined commands in one read. Nothing in the protocol needs more memory
// than one command line, so a Decoder holds at most [MaxLine] bytes, or of a
// delete-batch [MaxLongLine]; bodies pass through it without being kept.
//
// Reading order: command.go (the values), grammar.go (every command in one
// table, and how to add one), decoder.go (lines and bodies), scan.go (numbers
// and names), reply.go (every word the server sends), limits.go.
//
// # The life of a put
//
// A body follows its command line, so a put takes at least two events:
//
//	"put 1 0 60 5\r\n"  "he"   "llo\r\n"
//	        |             |        |
//	     Request        Chunk   BodyEnd          body whole, ready to insert
//
//	"put 1 0 60 5\r\n"  "hello\r\n"
//	        |                |
//	     Request          BodyEnd                the usual case: all in one read
//
//	"put 1 0 60 5\r\n"  "hello!!"
//	        |                |
//	     Request         BadTrailer              EXPECTED_CRLF; the next byte
//	                                             begins a command line
//
//	"put 1 0 60 99999\r\n"  99999 bytes + 2
//	        |                     |
//	     Request              Oversized          JOB_TOO_BIG; nothing kept
//
//	"put 1 0 60 5 \r\n"  "hello\r\n"
//	        |                 |
//	     Refused           Refused               BAD_FORMAT; the body is not
//	     (Counted)                               skipped but read as a command
//
// beanstalkd gives a job its id at the Request, before the body has come, and
// does not take it back if the trailer is wrong.
//
// # Who owns the bytes
//
// [Command.Tube] and [Command.Data] are borrowed: they point into the caller's
// input or into the Decoder, and are valid until the next call of
// [Decoder.Next] or until the caller overwrites its input. Copy what has to
// live longer. The reply functions append to the caller's slice in the manner
// of [strconv.AppendInt] and keep nothing.
package proto
